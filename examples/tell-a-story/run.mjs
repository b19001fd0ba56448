/**
 * Tells a story from its beginning on, word by word as the model writes it.
 *
 *   node examples/tell-a-story/run.mjs [BEGINNING]
 */
import { token, url } from '../glim.mjs'

const beginning = process.argv[2] ?? 'Once upon a time there was a fox who lived under an old tree'

const reply = await fetch(`${url}/v1/completions`, {
  method: 'POST',
  headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'story', prompt: beginning, max_tokens: 120, seed: 11, stream: true }),
})
if (!reply.ok) throw new Error((await reply.json()).message)

process.stdout.write(beginning)
let rest = ''
for await (const text of reply.body.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split('\n')
  rest = lines.pop()
  for (const line of lines) {
    if (!line.startsWith('data: ') || line === 'data: [DONE]') continue
    const { error, choices } = JSON.parse(line.slice('data: '.length))
    if (error) throw new Error(error.message)
    process.stdout.write(choices[0]?.text ?? '')
  }
}
process.stdout.write('\n')
