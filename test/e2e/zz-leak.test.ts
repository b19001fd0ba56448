import { afterAll, beforeAll, it } from 'vitest'
import { execSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { importFiles } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
let server: TestServer
beforeAll(async () => { server = await startTestServer({ idleMs: 1000 }) })
afterAll(() => server.stop())
const pid = () => execSync(`ps -eo pid,ppid,rss,comm | awk '$2==${process.pid} && $4 ~ /workerd/ {print $1}'`).toString().trim()
function regions() {
  const out: [number, string][] = []; let head = ''
  for (const line of readFileSync(`/proc/${pid()}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) head = line
    const m = /^Rss:\s+(\d+)/.exec(line); if (m && Number(m[1]) > 1500) out.push([Number(m[1]), head])
  }
  const sum: Record<string, [number, number]> = {}
  for (const [kb, h] of out) { const mb = Math.round(kb / 1024); const k = `${mb}MB ${h.split(/\s+/).slice(1, 2)} ${h.split(/\s+/)[5] ?? ''}`; sum[k] ??= [0, 0]; sum[k][0]++; sum[k][1] += mb }
  return Object.entries(sum).sort((a, b) => b[1][1] - a[1][1]).slice(0, 14).map(([k, [n, t]]) => `${n}× ${k} = ${t}`).join('\n')
}
const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid()}/status`, 'utf8'))![1]) / 1024
it('leaks', { timeout: 120000 }, async () => {
  const l: string[] = []
  for (let i = 0; i < 12; i++) await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(i) }], 'good')
  l.push(String(rss()), regions())
  await new Promise((r) => setTimeout(r, 15000))
  l.push('\nafter 15 s', String(rss()), regions())
  console.log(l.join('\n'), server.lines)
})
