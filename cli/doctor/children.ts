import { findIsolation } from '../../infra/child/isolation.ts'
import { findTool } from '../../infra/child/tools.ts'
import type { Config } from '../../infra/config.ts'
import type { Check } from './findings.ts'

/** What programs that read users' files need. Nothing else fails without. */
export const childChecks = ({ toolPath }: Config): Check[] => [
  {
    name: 'Child processes',
    look: async () => {
      const { name, hasNoNetwork, hasOwnProcesses } = await findIsolation()
      if (!hasNoNetwork) throw new Error('programs that read what users sent can reach the network')
      return hasOwnProcesses ? `without network, apart from others (${name})` : `without network (${name})`
    },
    remedy:
      'Let this user make user namespaces (of a container: its seccomp profile; of a host: ' +
      'kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), with util-linux or bubblewrap ' +
      'installed; else keep workers where they reach nothing of yours.',
    isOptional: true,
  },
  {
    name: 'ffmpeg',
    look: () => findTool('ffmpeg', toolPath),
    remedy: 'Media needs it.',
    isOptional: true,
  },
]
