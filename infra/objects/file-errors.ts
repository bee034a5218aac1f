import { isNativeError } from 'node:util/types'
/** Whether a file system call failed with one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return isNativeError(error) && 'code' in error && codes.includes(String(error.code))
}

/** The promise's value; undefined where it failed because there is no such file or folder. */
export async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
