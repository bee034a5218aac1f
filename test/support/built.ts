import { fileURLToPath } from 'node:url'

/** The path of a file of the build, for tests that run the product as it is installed. */
export const builtPath = (path: string): string => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url))

/** A module of the build. */
export const built = async <Module>(path: string): Promise<Module> => (await import(builtPath(path))) as Module
