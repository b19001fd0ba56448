/**
 * The door of the command line. Everything behind it is TypeScript that Node itself strips, and a Node that cannot would die
 * with "Unknown file extension"; so this file, which any Node reads, looks first.
 */
import module from 'node:module'
import { fileURLToPath } from 'node:url'

if (process.features.typescript) {
  // Compiled code is kept beside the packages, which halves the time that a command takes to begin; a folder that cannot be
  // written to is no loss.
  module.enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/glim', import.meta.url)))
  // Node's own listener prints "SQLite is an experimental feature"; the state folder's lock is all that is used of it.
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') console.error(`${warning.name}: ${warning.message}`)
  })
  await import('./main.ts')
} else {
  console.error(
    `glim needs Node 22.18 or newer and this is ${process.version}. In a checkout, \`npm install\` brings a fitting one on Linux, which \`npm start\` and \`npm run -s glim -- ARGS\` use; elsewhere get it from https://nodejs.org.`,
  )
  process.exitCode = 1
}
