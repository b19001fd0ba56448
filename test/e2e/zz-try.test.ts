import { afterAll, beforeAll, it } from 'vitest'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { embedderFiles, identityModel, scaleModel } from '../support/onnx-model.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
let server: TestServer
beforeAll(async () => { server = await startTestServer() })
afterAll(() => server.stop())
const raw = (text: string | Buffer, ms = 1500) => new Promise<string>((done) => {
  const socket = connect(Number(server.url.port), '127.0.0.1'); let got = ''
  socket.on('data', (d) => { got += d.toString('latin1') }); socket.on('error', (e) => done(`${got} ERR ${e.message}`)); socket.on('close', () => done(got))
  socket.write(text); setTimeout(() => socket.destroy(), ms)
})
it('tries', { timeout: 120000 }, async () => {
  const lines: string[] = []
  try {} catch {}
  const show = (name: string, r: any) => lines.push(`${name}: ${r.status} ${r.headers?.get('content-type')} ${r.headers?.get('x-request-id') ? 'id' : 'NOID'} ${r.text.slice(0, 300)}`)
  try{
  await importFiles(server, embedderFiles(), 'emb'); await createEndpoint(server, 'emb', 'emb')
  await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(3) }], 'sc'); await createEndpoint(server, 'sc', 'sc')
  const inv = '/serving-endpoints/sc/invocations'
  const J = { 'content-type': 'application/json' }

  show('optionsdeep', await server.send('POST', '/api/2.0/glim/models/import', '{"name":"q","manifest":{"version":1,"artifacts":[]},"options":{"a":' + '['.repeat(3000) + ']'.repeat(3000) + '}}', { headers: J }))
  for (let i = 0; i < 45; i++) { const r = await server.send('POST', '/api/2.0/serving-endpoints', { name: 'desc' + i, description: 'd'.repeat(1_000_000) }); if (r.status !== 200) { show('desc'+i, r); break } }
  show('afterdesc', await server.send('GET', '/v1/models'))
  show('%', await server.send('GET', '/api/2.0/serving-endpoints/%zz'))
  show('%ff', await server.send('GET', '/v1/models/%ff%fe'))
  show('%00', await server.send('GET', '/api/2.0/serving-endpoints/%00'))
  show('..', await server.send('GET', '/api/2.0/serving-endpoints/..%2f..%2fetc'))
  show('405', await server.send('GET', '/serving-endpoints/embeddings'))
  show('405b', await server.send('PUT', '/v1/messages'))
  show('HEAD', await server.send('HEAD', '/health'))
  show('OPTIONS', await server.send('OPTIONS', '/v1/models'))
  show('TRACE?', await server.send('PATCH', '/health'))
  show('ct', await server.send('POST', inv, '{}', { headers: { 'content-type': 'text/plain' } }))
  show('charset', await server.send('POST', inv, '{}', { headers: { 'content-type': 'application/json; charset=latin1' } }))
  show('csvdup', await server.send('POST', inv, 'x,x\n1,2\n', { headers: { 'content-type': 'text/csv' } }))
  show('csv', await server.send('POST', inv, 'a,b\n1,2\n3,Infinity\n', { headers: { 'content-type': 'text/csv' } }))
  show('csvragged', await server.send('POST', inv, 'a,b\n1,2,3\n', { headers: { 'content-type': 'text/csv' } }))
  const auth = `authorization: Bearer ${adminTestToken}\r\nhost: 127.0.0.1:${server.url.port}\r\n`
  lines.push('foreign ' + await raw(`GET /v1/models HTTP/1.1\r\nauthorization: Bearer ${adminTestToken}\r\nhost: evil.example\r\nconnection: close\r\n\r\n`))
  lines.push('nohost ' + await raw(`GET /v1/models HTTP/1.1\r\nauthorization: Bearer ${adminTestToken}\r\nconnection: close\r\n\r\n`))
  lines.push('garbage ' + await raw(`FOO BAR\r\n\r\n`))
  lines.push('crlf token ' + await raw(`GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer a\0b\r\nconnection: close\r\n\r\n`))
  lines.push('hugeheader ' + (await raw(`GET /v1/models HTTP/1.1\r\n${auth}x-a: ${'a'.repeat(200_000)}\r\nconnection: close\r\n\r\n`)).slice(0, 300))
  lines.push('header 60k ' + (await raw(`GET /health HTTP/1.1\r\n${auth}x-a: ${'a'.repeat(60_000)}\r\nconnection: close\r\n\r\n`)).slice(0, 300))
  lines.push('cl-bad ' + (await raw(`POST ${inv} HTTP/1.1\r\n${auth}content-type: application/json\r\ncontent-length: abc\r\nconnection: close\r\n\r\n`)).slice(0, 300))
  lines.push('17MB cl only head ' + (await raw(`POST ${inv} HTTP/1.1\r\n${auth}content-type: application/json\r\ncontent-length: 17825792\r\n\r\n`)).slice(0, 500))
  for (const chunked of [false, true]) {
    const big = Buffer.alloc(17 * 1024 * 1024, 0x20)
    lines.push(`17MB ${chunked} ` + await new Promise<string>((done) => {
      const r = httpRequest(new URL(inv, server.url), { method: 'POST', headers: { ...J, authorization: `Bearer ${adminTestToken}`, ...(chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': big.length }) } }, (res) => { let t = ''; res.on('data', (d) => { t += d }); res.on('end', () => done(`${res.statusCode} ${t.slice(0, 300)}`)); res.on('error', (e) => done(`res err ${e}`)) })
      r.on('error', (e) => done('ERR ' + e)); for (let i = 0; i < 17; i++) r.write(big.subarray(i << 20, (i + 1) << 20)); r.end()
    }))
  }
  try { show('fetch17', await server.send('POST', inv, new Uint8Array(17 * 1024 * 1024).fill(32), { headers: J })) } catch (e) { lines.push('fetch17 ERR ' + (e as any).cause) }
  show('alive', await server.send('GET', '/health'))
  }catch(e){lines.push("THREW "+(e as any).stack+(e as any).cause)}
  console.log(lines.join('\n'))
  console.log(server.lines.map((l) => l.slice(0, 300)))
})
