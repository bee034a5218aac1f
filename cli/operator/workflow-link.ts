import type { Config } from '../../infra/config.ts'

/** The workflow's page in Temporal's UI; undefined where no UI is configured. */
export function workflowLink({ uiUrl, namespace }: Config['temporal'], workflowId: string): string | undefined {
  if (uiUrl === undefined) return undefined
  return `${uiUrl.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`
}
