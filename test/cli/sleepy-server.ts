/** A program: workerd under our supervision with a worker that answers after `?ms=`, stopped as `glim dev` is. */
import { stopRequest } from '#src/cli/dev/stop-request.ts'
import { Miniflare } from '#src/cli/miniflare.ts'
import { adoptWorkerd, withoutSignalListeners } from '#src/cli/workerd-process.ts'

const worker = `export default { async fetch(request) {
  const ms = Number(new URL(request.url).searchParams.get('ms'))
  console.log('asked')
  await new Promise((resolve) => setTimeout(resolve, ms))
  console.log('answering')
  return new Response('answered after ' + ms)
} }`

const workerd = await adoptWorkerd()
const miniflare = withoutSignalListeners(
  () =>
    new Miniflare({
      port: 0,
      cf: false,
      handleStructuredLogs: ({ message }) => console.log(message),
      workers: [
        {
          config: {
            name: 'sleepy',
            compatibilityDate: '2026-11-01',
            manifest: { mainModule: 'sleepy.js', modules: { 'sleepy.js': { type: 'esm', contents: worker } } },
            env: {},
            exports: {},
          },
          dev: { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] },
        },
      ],
    }),
)
const stop = stopRequest({ underNpm: false })
await miniflare.ready
console.log(`ready ${(await miniflare.unsafeGetDirectURL('sleepy')).origin}`)
await stop.requested
console.log('draining')
await workerd.drain(Number(process.argv[2]), async () => {
  await miniflare.dispose()
  await workerd.release()
})
