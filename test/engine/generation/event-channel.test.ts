/** Events between a maker and a reader, and how far the one may be ahead of the other. */
import { describe, expect, it } from 'vitest'
import { EventChannel } from '#src/engine/generation/event-channel.ts'

function filled(count: number) {
  let left = 0
  const channel = new EventChannel<number>(() => left++)
  for (let event = 0; event < count; event++) channel.push(event)
  return { channel, left: () => left }
}

/** Whether it is settled by now. */
async function isOpen(room: Promise<void>): Promise<boolean> {
  return Promise.race([room.then(() => true), Promise.resolve(false)])
}

describe('a channel', () => {
  it('gives its events in order and then ends, also to a reader who comes late', async () => {
    const { channel } = filled(3)
    channel.end()
    expect(await Array.fromAsync(channel)).toEqual([0, 1, 2])
  })

  it('has room until 256 events wait, and again when half of them are taken', async () => {
    const { channel } = filled(255)
    expect(channel.room()).toBeUndefined()
    channel.push(255)
    const room = channel.room()!
    for (let taken = 0; taken < 127; taken++) await channel.next()
    expect(await isOpen(room)).toBe(false)
    expect(channel.room()).toBe(room)
    await channel.next()
    await room
    expect(channel.room()).toBeUndefined()
  })

  it('loses nothing that comes in spite of there being no room', async () => {
    const { channel } = filled(300)
    channel.end()
    expect(await Array.fromAsync(channel)).toHaveLength(300)
  })

  it('lets its maker go on once the reader has left', async () => {
    const { channel, left } = filled(256)
    const room = channel.room()!
    await channel.return()
    await room
    expect([channel.room(), left()]).toEqual([undefined, 1])
  })
})
