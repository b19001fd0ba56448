/**
 * Searches a folder of notes by meaning: each note is embedded once, the question too, and the nearest notes are shown.
 *
 *   node examples/semantic-search/run.mjs "how do I keep bread fresh" [FOLDER]
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { predict } from '../glim.mjs'

const question = process.argv[2] ?? 'how do I keep bread fresh'
const folder = process.argv[3] ?? fileURLToPath(new URL('notes', import.meta.url))
const names = readdirSync(folder).filter((name) => /\.(txt|md)$/.test(name))
const notes = names.map((name) => readFileSync(join(folder, name), 'utf8').trim())

const [asked, ...vectors] = await predict('embed', [question, ...notes])
const ranked = vectors
  .map((vector, index) => ({ name: names[index], note: notes[index], score: dot(asked, vector) }))
  .sort((a, b) => b.score - a.score)

console.log(question)
for (const { name, note, score } of ranked.slice(0, 3))
  console.log(`  ${score.toFixed(2)}  ${name.padEnd(16)} ${note.slice(0, 90)}`)

/** The vectors have length 1, so this is the cosine of their angle. */
function dot(a, b) {
  return a.reduce((sum, value, at) => sum + value * b[at], 0)
}
