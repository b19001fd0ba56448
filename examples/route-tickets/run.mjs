/**
 * Routes support tickets to the team that answers them, and leaves to a person what the model is unsure of.
 *
 *   node examples/route-tickets/run.mjs [FILE]       one ticket a line
 */
import { readFileSync } from 'node:fs'
import { predict } from '../glim.mjs'

const teams = [
  [/lost|stolen|compromised|swallowed|not_recognised/, 'card safety'],
  [/card|pin|atm|cash_withdrawal/, 'cards'],
  [/transfer|beneficiary|receiving_money|direct_debit/, 'transfers'],
  [/top_?up|top_up/i, 'top-ups'],
  [/exchange|fiat|currenc/, 'exchange'],
  [/verify|identity|passcode|personal_details|age|account/, 'accounts'],
]
const unsure = 0.5

const file = process.argv[2] ?? new URL('tickets.txt', import.meta.url)
const tickets = readFileSync(file, 'utf8')
  .split('\n')
  .filter((line) => line.trim() !== '')
const answers = await predict('intent', tickets)

for (const [index, [best]] of answers.entries()) {
  const team =
    best.score < unsure ? 'a person' : (teams.find(([pattern]) => pattern.test(best.label))?.[1] ?? 'general')
  console.log(
    `${team.padEnd(12)} ${best.label.padEnd(36)} ${(best.score * 100).toFixed(0).padStart(3)} %  ${tickets[index]}`,
  )
}
