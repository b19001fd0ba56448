/** CPU time of another process, which other load on the machine hardly moves. Linux only. */
import { readFileSync } from 'node:fs'

/** User and system time in milliseconds, in ticks of 10 ms: fields 14 and 15 of /proc/PID/stat; the name may hold spaces. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
