import { describe, expect, it } from 'vitest'
import { createOutputText, type OutputPiece, type ReasoningTags } from '#src/engine/generation/output-text.ts'
import { dice } from './tokenizer-files.ts'

const think: ReasoningTags = { open: '<think>', close: '</think>', opened: false }

interface Outcome {
  text: string
  reasoning: string
  stopped: string | null
}

function outcomeOf(deltas: readonly string[], stop: readonly string[], reasoning: ReasoningTags | null): Outcome {
  const output = createOutputText({ stop, reasoning })
  const pieces: OutputPiece[] = [...deltas.flatMap((delta) => output.push(delta)), ...output.end()]
  const joined = (kind: OutputPiece['kind']) =>
    pieces
      .filter((piece) => piece.kind === kind)
      .map((piece) => piece.text)
      .join('')
  return { text: joined('text'), reasoning: joined('reasoning'), stopped: output.stopped }
}

const cases: [title: string, text: string, stop: string[], reasoning: ReasoningTags | null, outcome: Outcome][] = [
  ['no stop text', 'hello world', [], null, { text: 'hello world', reasoning: '', stopped: null }],
  ['a stop text', 'hello END more', ['END'], null, { text: 'hello ', reasoning: '', stopped: 'END' }],
  ['a stop text that only begins', 'hello EN', ['END'], null, { text: 'hello EN', reasoning: '', stopped: null }],
  ['a stop text after its own beginning', 'xaaab', ['aab'], null, { text: 'xa', reasoning: '', stopped: 'aab' }],
  ['the stop text that ends first', 'xabcd', ['abcd', 'bc'], null, { text: 'xa', reasoning: '', stopped: 'bc' }],
  ['the longer of two that end together', 'xabc', ['c', 'abc'], null, { text: 'x', reasoning: '', stopped: 'abc' }],
  ['a stop text at the start', '\n\nx', ['\n'], null, { text: '', reasoning: '', stopped: '\n' }],
  ['an empty stop text', 'abc', [''], null, { text: 'abc', reasoning: '', stopped: null }],
  ['stop texts beyond ASCII', 'ça va 🙂 fin', ['🙂'], null, { text: 'ça va ', reasoning: '', stopped: '🙂' }],
  ['reasoning', '<think>\nwhy?</think>\n\nyes', [], think, { text: 'yes', reasoning: 'why?', stopped: null }],
  ['reasoning after white space', ' \n<think>a</think>b', [], think, { text: 'b', reasoning: 'a', stopped: null }],
  ['no reasoning', ' <b>a', [], think, { text: ' <b>a', reasoning: '', stopped: null }],
  ['only half a tag', '<thi', [], think, { text: '<thi', reasoning: '', stopped: null }],
  [
    'a tag within the text',
    'say <think>a</think>',
    [],
    think,
    { text: 'say <think>a</think>', reasoning: '', stopped: null },
  ],
  ['reasoning without an end', '<think>a < b </th', [], think, { text: '', reasoning: 'a < b </th', stopped: null }],
  [
    'reasoning that the prompt opened',
    '\nwhy</think>ok',
    [],
    { ...think, opened: true },
    { text: 'ok', reasoning: 'why', stopped: null },
  ],
  [
    'a stop text in the reasoning',
    '<think>a\nb</think>\n\nc\nd',
    ['\n'],
    think,
    { text: 'c', reasoning: 'a\nb', stopped: '\n' },
  ],
  ['a stop text before the reasoning', '\n<think>a', ['\n'], think, { text: '', reasoning: '', stopped: '\n' }],
]

describe('createOutputText', () => {
  it.each(cases)('tells %s, however the text is cut', (_, text, stop, reasoning, outcome) => {
    expect(outcomeOf([text], stop, reasoning)).toEqual(outcome)
    expect(outcomeOf([...text], stop, reasoning)).toEqual(outcome)
    for (let at = 0; at <= text.length; at++)
      for (let second = at; second <= text.length; second++)
        expect(outcomeOf([text.slice(0, at), text.slice(at, second), text.slice(second)], stop, reasoning)).toEqual(
          outcome,
        )
  })

  it('gives the same pieces for random texts, stop texts and cuts', () => {
    const roll = dice(11)
    const letters = (most: number) => Array.from({ length: 1 + roll(most) }, () => 'ab<>/'[roll(5)]).join('')
    const tags = { open: '<a>', close: '</a>', opened: false }
    for (let round = 0; round < 2_000; round++) {
      const text = (roll(2) ? '<a>' : '') + letters(20) + (roll(2) ? '</a>' : '') + letters(20)
      const stop = Array.from({ length: roll(4) }, () => letters(4))
      const reasoning = roll(3) ? { ...tags, opened: roll(3) === 0 } : null
      const deltas: string[] = []
      for (let at = 0; at < text.length; ) {
        const length = 1 + roll(5)
        deltas.push(text.slice(at, at + length))
        at += length
      }
      const whole = outcomeOf([text], stop, reasoning)
      expect(outcomeOf(deltas, stop, reasoning)).toEqual(whole)
      expect(outcomeOf([...text], stop, reasoning)).toEqual(whole)
      if (!reasoning) expect(whole).toMatchObject(referenceOf(text, stop))
    }
  })

  it('holds back no more than what may become a stop text', () => {
    const output = createOutputText({ stop: ['STOP'], reasoning: null })
    expect(output.push('go on S')).toEqual([{ kind: 'text', text: 'go on ' }])
    expect(output.push('TOL')).toEqual([{ kind: 'text', text: 'STOL' }])
    expect(output.push('ST')).toEqual([])
    expect(output.push('OP and more')).toEqual([])
    expect(output.stopped).toBe('STOP')
    expect([...output.push('x'), ...output.end()]).toEqual([])
  })

  it('says whether the model is reasoning', () => {
    const output = createOutputText({ stop: [], reasoning: think })
    const states = ['<thi', 'nk>', 'a', '</think>', 'b'].map((delta) => {
      output.push(delta)
      return output.isReasoning
    })
    expect(states).toEqual([false, true, true, false, false])
  })
})

/** Character by character: ends at the first place where a stop text ends. */
function referenceOf(text: string, stop: readonly string[]): { text: string; stopped: string | null } {
  for (let end = 1; end <= text.length; end++) {
    const [found] = stop.filter((each) => text.slice(0, end).endsWith(each)).sort((a, b) => b.length - a.length)
    if (found !== undefined) return { text: text.slice(0, end - found.length), stopped: found }
  }
  return { text, stopped: null }
}
