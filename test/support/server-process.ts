/** A server in a process group of its own, to be killed: `node server-process.ts HOME PORT TOKEN [IDLE_MS]` prints its address once it is up. */
import { createHash } from 'node:crypto'
import { startServer } from '#src/cli/start-server.ts'

const [home = '', port = '0', token = '', idleMs = '300000'] = process.argv.slice(2)
const { url } = await startServer({
  host: '127.0.0.1',
  port: Number(port),
  home,
  adminTokenHash: createHash('sha256').update(token).digest('hex'),
  idleMs: Number(idleMs),
  expectStarters: false,
  log: (line) => console.error(line),
})
console.log(url.href)
