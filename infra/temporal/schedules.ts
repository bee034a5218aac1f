import {
  ScheduleAlreadyRunning,
  ScheduleClient,
  ScheduleOverlapPolicy,
  type Connection,
  type ScheduleOptions,
  type ScheduleUpdateOptions,
} from '@temporalio/client'

type Schedule = Pick<ScheduleOptions, 'scheduleId' | 'spec' | 'action' | 'policies'>

const CALL_DEADLINE_MS = 10_000

/** Once a day, at an hour in which little else happens; a day that the server missed is caught up with. */
const SCHEDULES: readonly Schedule[] = [
  {
    scheduleId: 'retention',
    spec: { calendars: [{ hour: 3, minute: 17, comment: 'daily, UTC' }] },
    action: {
      type: 'startWorkflow',
      workflowType: 'retention',
      workflowId: 'retention',
      taskQueue: 'control',
      args: [],
      staticSummary: 'Remove what is past its retention',
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 day' },
  },
]

/** Makes our schedules, or brings those that are there up to date; an operator's pause stays. Harmless to repeat. */
export async function ensureSchedules(connection: Connection, namespace: string): Promise<void> {
  const client = new ScheduleClient({ connection, namespace })
  for (const schedule of SCHEDULES) {
    await connection.withDeadline(Date.now() + CALL_DEADLINE_MS, () => ensureSchedule(client, schedule))
  }
}

async function ensureSchedule(client: ScheduleClient, schedule: Schedule): Promise<void> {
  try {
    await client.create(schedule)
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error
    const { spec, action, policies } = schedule
    await client
      .getHandle(schedule.scheduleId)
      .update(({ state }) => ({ state, spec, action, policies }) as ScheduleUpdateOptions)
  }
}
