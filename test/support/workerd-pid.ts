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

/** Memory that it has in RAM, in MiB. Linux only. */
export function residentMb(): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${workerdPid()}/status`, 'utf8'))!
  return Number(kilobytes) / 1024
}
