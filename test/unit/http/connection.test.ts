import { once } from 'node:events'
import { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { connectionSignal } from '../../../api/http/request/connection.ts'

describe('the signal of a connection', () => {
  test('is one for all requests on it, and no other one’s', () => {
    const socket = new Socket()
    expect(connectionSignal(socket)).toBe(connectionSignal(socket))
    expect(connectionSignal(new Socket())).not.toBe(connectionSignal(socket))
    expect(socket.listenerCount('close')).toBe(1)
  })

  test('aborts when it closes', async () => {
    const socket = new Socket()
    const signal = connectionSignal(socket)
    expect(signal.aborted).toBe(false)
    socket.destroy()
    await once(signal, 'abort')
    expect(signal.reason).toMatchObject({ message: 'the client went away' })
  })

  test('has aborted where it was closed', () => {
    expect(connectionSignal(new Socket().destroy()).aborted).toBe(true)
  })
})
