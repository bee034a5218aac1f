/** An event as it is appended; its sequence number is given by the log. */
export interface NewEvent {
  type: string
  data: object
}

export interface LogEvent extends NewEvent {
  seq: number
  created_at: Date
}

/** Who may append: the newest attempt of the newest run. */
export interface LogWriter {
  logId: string
  run: number
  attempt: number
}

/** What a writer appends at once; `step` counts its appends from 1. `closes` ends the log. */
export interface Append extends LogWriter {
  step: number
  events: NewEvent[]
  closes: boolean
}

export interface LogState {
  last_seq: bigint
  removed_seq: bigint
  closed_at: Date | null
}
