import { defineSearchAttributeKey } from '@temporalio/common'
import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow'
import { detailsMarkdown, type JobDetails } from '../../domain/durable/jobs/details.rules.ts'

const PHASE = defineSearchAttributeKey('Phase', 'KEYWORD')
const MODEL = defineSearchAttributeKey('Model', 'KEYWORD')

/** Tells operators how far a job is: the phase and the model for searching, Markdown for reading. */
export function showDetails(details: JobDetails): void {
  const { startTime, typedSearchAttributes } = workflowInfo()
  setCurrentDetails(detailsMarkdown(details, Date.now() - startTime.getTime()))
  const attributes = [[PHASE, details.phase] as const, [MODEL, details.model] as const]
  const changed = attributes.flatMap(([key, value]) =>
    value === undefined || typedSearchAttributes.get(key) === value ? [] : [{ key, value }],
  )
  if (changed.length > 0) upsertSearchAttributes(changed)
}
