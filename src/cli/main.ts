/** The command line. `glim.mjs` comes here once Node is known to read TypeScript. */
import { runCommand } from './run-command.ts'
import { surroundingsOf } from './surroundings.ts'
import { terminalOn } from './terminal.ts'

// A reader that has seen enough (`glim models list | head -1`) and a terminal that was closed are no errors.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') process.exit(1)
  })
}

const terminal = terminalOn(process.stdout, process.stderr)
// Set, not exited with: what was printed may still be on its way into a pipe.
process.exitCode = await runCommand(process.argv.slice(2), surroundingsOf(process.env, process.cwd(), terminal))
