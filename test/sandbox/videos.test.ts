import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { until } from '../support/until.ts'
import { startTestSandbox, type TestSandbox } from './sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await startTestSandbox()
})
afterAll(() => sandbox.close())

const ask = async (body: object): Promise<any> => {
  const reply = await fetch(`${sandbox.url}/videos`, { method: 'POST', body: JSON.stringify(body) })
  return { status: reply.status, ...((await reply.json()) as object) }
}
const look = async (id: string): Promise<any> => (await fetch(`${sandbox.url}/videos/${id}`)).json()
const clipOf = async (id: string) =>
  Buffer.from(await (await fetch(`${sandbox.url}/videos/${id}/content?index=0`)).arrayBuffer())

/** The boxes of an MP4 (ISO/IEC 14496-12) at one level, by type. */
function boxesOf(bytes: Buffer): Record<string, Buffer> {
  const boxes: Record<string, Buffer> = {}
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at)) {
    boxes[bytes.toString('latin1', at + 4, at + 8)] = bytes.subarray(at + 8, at + bytes.readUInt32BE(at))
  }
  return boxes
}
const within = (boxes: Record<string, Buffer>, ...path: string[]): Buffer =>
  path.reduce((box, name) => boxesOf(box)[name] ?? Buffer.alloc(0), boxes[''] ?? Buffer.alloc(0))

describe('a video of the sandbox', () => {
  test('is a job that takes its time, and then costs by its length', async () => {
    const job = await ask({ model: 'grok-imagine-video', prompt: 'a cat', duration: 2, size: '64x48' })
    expect(job).toMatchObject({ status: 'pending', polling_url: `/v1/videos/${job.id}` })
    expect((await look(job.id)).status).toBe('in_progress')
    const done = await until(async () => {
      const now = await look(job.id)
      return now.status === 'completed' && now
    })
    expect(done).toMatchObject({ usage: { cost: 0.1 }, unsigned_urls: [expect.stringContaining('/content')] })
  })

  test('is an MP4 whose index fits its data: every frame a unit of H.264, a second of them one whole and its repeats', async () => {
    const { id } = await ask({ model: 'x', prompt: 'a cat', duration: 2, size: '64x48' })
    const clip = await clipOf(id)
    const file = boxesOf(clip)
    expect(Object.keys(file)).toEqual(['ftyp', 'moov', 'mdat'])
    const table = within({ '': file['moov'] ?? clip }, 'trak', 'mdia', 'minf', 'stbl')
    const { stsz, stco, stss, stsd } = boxesOf(table)
    expect(stsd?.includes('avc1')).toBe(true)
    const count = stsz?.readUInt32BE(8) ?? 0
    expect(count).toBe(24)
    let at = stco?.readUInt32BE(8) ?? 0
    const types: number[] = []
    for (let frame = 0; frame < count; frame++) {
      const size = stsz?.readUInt32BE(12 + frame * 4) ?? 0
      expect(clip.readUInt32BE(at)).toBe(size - 4)
      types.push((clip[at + 4] ?? 0) & 0x1f)
      at += size
    }
    expect(at).toBe(clip.length)
    const second = [5, ...Array<number>(11).fill(1)]
    expect(types).toEqual([...second, ...second])
    expect([stss?.readUInt32BE(8), stss?.readUInt32BE(12)]).toEqual([1, 13])
  })

  test('is the same for the same prompt', async () => {
    const clips = await Promise.all(
      ['a cat', 'a cat', 'a dog'].map(async prompt => clipOf((await ask({ model: 'x', prompt, size: '32x32' })).id)),
    )
    expect(clips[0]?.equals(clips[1] ?? Buffer.alloc(0))).toBe(true)
    expect(clips[0]?.equals(clips[2] ?? Buffer.alloc(0))).toBe(false)
  })

  test('that was never asked for is not found', async () => {
    expect((await fetch(`${sandbox.url}/videos/AAAA`)).status).toBe(404)
    expect((await ask({ model: 'x', prompt: '' })).status).toBe(400)
  })
})
