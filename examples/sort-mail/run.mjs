/**
 * Sorts mail by language, so that each letter reaches somebody who can read it.
 *
 *   node examples/sort-mail/run.mjs [FILE]       letters separated by lines of dashes
 */
import { readFileSync } from 'node:fs'
import { predict } from '../glim.mjs'

const file = process.argv[2] ?? new URL('mail.txt', import.meta.url)
const letters = readFileSync(file, 'utf8')
  .split(/^-{3,}$/m)
  .map((letter) => letter.trim())
  .filter((letter) => letter !== '')

const names = new Intl.DisplayNames(['en'], { type: 'language' })
const predictions = await predict('language', letters)
const sorted = Map.groupBy(
  letters.map((letter, index) => ({ letter, ...predictions[index][0] })),
  ({ label }) => label,
)
for (const [label, mail] of sorted) {
  console.log(`${names.of(label)}: ${mail.length}`)
  for (const { letter, score } of mail)
    console.log(`  ${(score * 100).toFixed(0).padStart(3)} %  ${letter.split('\n')[0].slice(0, 80)}`)
}
