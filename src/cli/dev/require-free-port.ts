/** Whether the address can be listened on, asked before anything is started, so that the answer is one line. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { failed } from '../failure.ts'

/** @throws {Failure} 1 that names the port and how to choose another. */
export async function requireFreePort(host: string, port: number): Promise<void> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    throw failed('ADDRESS_UNUSABLE', reasonOf((error as NodeJS.ErrnoException).code, host, port))
  } finally {
    if (server.listening) await new Promise((closed) => server.close(closed))
  }
}

function reasonOf(code: string | undefined, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is in use by another program. Choose another with --port or GLIM_PORT.`
    case 'EACCES':
      return `Port ${port} may not be used by this user. Choose one above 1023 with --port or GLIM_PORT.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no address of this machine. Choose another with --host or GLIM_HOST; 127.0.0.1 always is one.`
    default:
      return `${host}:${port} cannot be listened on (${code}). Choose another address with --host and --port.`
  }
}
