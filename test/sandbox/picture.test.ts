import { inflateSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { imageSize } from '../../infra/tokenizer/image-size.ts'
import { startTestSandbox, type TestSandbox } from './sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await startTestSandbox()
})
afterAll(() => sandbox.close())

async function drawn(prompt: string, image_config: object): Promise<{ png: Buffer; cost: number }> {
  const body = {
    model: 'grok-imagine',
    messages: [{ role: 'user', content: prompt }],
    modalities: ['image'],
    image_config,
  }
  const reply: any = await sandbox.client.chat.completions.create(body as never)
  const url = reply.choices[0].message.images[0].image_url.url as string
  return { png: Buffer.from(url.replace('data:image/png;base64,', ''), 'base64'), cost: reply.usage.cost }
}

/** The pixels of a PNG of one byte a pixel whose data is in one chunk. */
function pixelsOf(png: Buffer): Buffer {
  const at = png.indexOf('IDAT')
  return inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
}

test.each([
  [{}, 1024, 1024, 0.05],
  [{ aspect_ratio: '16:9' }, 1024, 576, 0.05],
  [{ aspect_ratio: '2:3', image_size: '2K' }, 1365, 2048, 0.07],
])('a picture of %j is %i x %i', async (config, width, height, cost) => {
  const picture = await drawn('a cat', config)
  expect(imageSize(picture.png)).toEqual({ width, height })
  expect(pixelsOf(picture.png)).toHaveLength((width + 1) * height)
  expect(picture.cost).toBe(cost)
})

test('is the same for the same prompt, and says what it is', async () => {
  const [first, again, other] = [await drawn('a cat', {}), await drawn('a cat', {}), await drawn('a dog', {})]
  expect(first.png.equals(again.png)).toBe(true)
  expect(first.png.equals(other.png)).toBe(false)
  // The label is white on its own ground; nothing else has these colours.
  const pixels = pixelsOf(first.png)
  expect(new Set(pixels.subarray(512 * 1025, 513 * 1025))).toEqual(new Set([0, 1, 2, 3]))
})
