import { defineSearchAttributeKey } from '@temporalio/common'
import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow'

const PHASE = defineSearchAttributeKey('Phase', 'KEYWORD')
const MODEL = defineSearchAttributeKey('Model', 'KEYWORD')

/** Tells operators how far a job is: the phase for searching, Markdown for reading. */
export function tellPhase(phase: string, details: string): void {
  setCurrentDetails(details)
  if (workflowInfo().typedSearchAttributes.get(PHASE) !== phase) upsertSearchAttributes([{ key: PHASE, value: phase }])
}

/** The model that a job runs, for operators' searches. */
export const tellModel = (model: string): void => upsertSearchAttributes([{ key: MODEL, value: model }])
