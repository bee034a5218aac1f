/** This run of a job may write nothing more: another run has it, it has ended, or its resource is gone. */
export class JobSuperseded extends Error {
  override name = 'JobSuperseded'
  constructor() {
    super('the job has ended or another run of it has taken over')
  }
}
