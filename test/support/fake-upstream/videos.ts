import type { ServerResponse } from 'node:http'
import type { FakeVideo } from './script.ts'

const MP4 = Buffer.from('0000001c667479706d703432000000006d70343269736f6d69736f32', 'hex')

/** Video jobs that do as their scripts say. */
export class FakeVideos {
  readonly #jobs = new Map<string, { video: FakeVideo; polls: number }>()

  start(video: FakeVideo): object {
    const id = `job-${this.#jobs.size + 1}-${Date.now()}`
    this.#jobs.set(id, { video, polls: 0 })
    return { id, generation_id: `gen-${id}`, polling_url: `/v1/videos/${id}`, status: 'pending' }
  }

  answer(path: string, response: ServerResponse): void {
    const [id = '', rest] = path.replace('/v1/videos/', '').split('/')
    const job = this.#jobs.get(id)
    if (job === undefined) return end(response, 404, 'application/json', '{"error":{"message":"no such job"}}')
    if (rest !== undefined) return content(job.video, response)
    const reply = job.video.polls[Math.min(job.polls, job.video.polls.length - 1)] ?? {}
    job.polls += 1
    if (typeof reply['status'] === 'number') return end(response, reply['status'], 'application/json', '{"error":{}}')
    end(response, 200, 'application/json', JSON.stringify({ id, ...reply }))
  }
}

function content({ content: wanted = {} }: FakeVideo, response: ServerResponse): void {
  const { status = 200, contentType = 'video/mp4', bytes = 100_000 } = wanted
  end(response, status, contentType, Buffer.concat([MP4, Buffer.alloc(bytes - MP4.length, 7)]))
}

function end(response: ServerResponse, status: number, contentType: string, body: string | Buffer): void {
  response.writeHead(status, { 'content-type': contentType }).end(body)
}
