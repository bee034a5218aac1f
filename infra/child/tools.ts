import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'

/** Where the tools that a system brings are, whatever PATH a service was started with. */
export const SYSTEM_FOLDERS = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin'

/** How a tool comes onto the systems that are used: name of the package there. */
const PACKAGES = {
  ffmpeg: { debian: 'ffmpeg', macos: 'ffmpeg', alpine: 'ffmpeg' },
} as const

type Tool = keyof typeof PACKAGES

/** A tool that is not there; the message says how to install it. */
export class ToolMissing extends Error {
  override name = 'ToolMissing'
}

/** The absolute path of a tool, from the folders of `path` (as PATH is written). Errors: ToolMissing. */
export async function findTool(tool: Tool, path: string): Promise<string> {
  const found = await findProgram(tool, path)
  if (found !== undefined) return found
  throw new ToolMissing(`${tool} is not in PATH. ${howToInstall(tool)}`)
}

/** One sentence for an operator. */
function howToInstall(tool: Tool): string {
  const { debian, macos, alpine } = PACKAGES[tool]
  return (
    `Install it with \`apt-get install ${debian}\` (Debian, Ubuntu), \`brew install ${macos}\` (macOS) ` +
    `or \`apk add ${alpine}\` (Alpine).`
  )
}

/** The first executable file of that name. Relative folders are left out: what they name depends on who asks. */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(isAbsolute)) {
    const program = join(folder, name)
    if (await isProgram(program)) return program
  }
  return undefined
}

/** Whether the path is of a file that this user may execute. */
export async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
