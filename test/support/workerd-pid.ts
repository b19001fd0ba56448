import { readdirSync, readFileSync } from 'node:fs'

/** The process of the server that this test file started. Linux only. */
export function workerdPid(): number {
  const found = readdirSync('/proc').find((entry) => {
    try {
      return new RegExp(`^\\d+ \\(workerd\\) \\S ${process.pid} `).test(readFileSync(`/proc/${entry}/stat`, 'utf8'))
    } catch {
      return false
    }
  })
  return Number(found)
}
