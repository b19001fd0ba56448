import { createServer } from 'node:http'
import { expect, it } from 'vitest'
import { nextTurn } from '#src/engine/next-turn.ts'

it('a turn lets what came in be read', async () => {
  let served = false
  const server = createServer((_request, reply) => {
    served = true
    reply.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const fetched = fetch(`http://127.0.0.1:${port}/`).then((reply) => reply.text())
  while (!served) await nextTurn()
  await fetched
  server.close()
})

it('a turn waits for no timer', async () => {
  let timers = 0
  const timer = setInterval(() => timers++, 1)
  for (let turn = 0; turn < 1_000; turn++) await nextTurn()
  clearInterval(timer)
  expect(timers).toBeLessThan(500)
})
