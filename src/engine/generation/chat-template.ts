/**
 * Conversations to text, by the model's own chat template: `chat_template.jinja`, or `chat_template` in `tokenizer_config.json`
 * (one template, or several of which `default` and `tool_use` are read).
 *
 * Models without a template get the texts of all turns joined by line breaks, which is all that can be said for a model that was
 * never taught turns. Where tools are given and the template has no place for them, they are described in the system message,
 * in the words of the Hermes format (`<tool_call>`).
 */
import { badRequest, invalidParameter } from '#contracts/errors.ts'
import type { ChatMessage, Tool } from '#contracts/generation.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { isObject, type JsonObject, readJson, readText } from '../read-artifact.ts'
import { parseTemplate, runTemplate } from './template-run.ts'

export interface ChatTemplate {
  /**
   * The text that the model goes on from, its own turn opened.
   *
   * @param variables What the request gives to the template beside them.
   * @throws {ServingError} 400 with the template's words where it refuses the conversation, or for a variable whose name is taken. Final.
   */
  render(
    messages: readonly ChatMessage[],
    tools: readonly Tool[],
    variables?: Readonly<Record<string, unknown>>,
  ): string
  /** The template has a place for tools. */
  readonly knowsTools: boolean
  /**
   * What the model writes around a call of a tool; null where its template shows tools in another form, so that only a
   * constraint makes its calls readable.
   */
  readonly toolCallTags: { open: string; close: string } | null
  /** What the model writes around its reasoning; null where the template shows no such tags. */
  readonly reasoningTags: { open: string; close: string } | null
}

const toolCallTags = { open: '<tool_call>', close: '</tool_call>' }
const reasoningTags = { open: '<think>', close: '</think>' }

/** What a plain conversation is rendered by. */
const plainTemplate =
  "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"

/**
 * Resolves to the model's template.
 *
 * @param texts The names of the begin and end token.
 * @param now Injected for tests; templates may write the date.
 * @throws {ServingError} 400 where the template cannot be read. Final.
 */
export async function loadChatTemplate(
  reader: ArtifactReader,
  texts: { beginText: string; endText: string },
  now: () => Date = () => new Date(),
): Promise<ChatTemplate> {
  const sources = await readSources(reader)
  const [plain, withTools] = [parseTemplate(sources.plain), sources.withTools && parseTemplate(sources.withTools)]
  const all = `${sources.plain}${sources.withTools ?? ''}`
  const knowsTools = /\btools\b/.test(all)
  const knowsDevelopers = all.includes('developer')
  return {
    knowsTools,
    toolCallTags: !knowsTools || all.includes(toolCallTags.open) ? toolCallTags : null,
    reasoningTags: all.includes(reasoningTags.close) ? reasoningTags : null,
    render(messages, tools, given = {}) {
      const turns = messages.map((message, index) => turnOf(message, index, knowsDevelopers))
      const described = tools.map(descriptionOf)
      const values = {
        messages: tools.length > 0 && !knowsTools ? withDescriptions(turns, described) : turns,
        // Templates ask both `if tools` and `if tools is not none`.
        tools: tools.length > 0 ? described : null,
        add_generation_prompt: true,
        bos_token: texts.beginText,
        eos_token: texts.endText,
      }
      return runTemplate(tools.length > 0 && withTools ? withTools : plain, { values, given, now: now() })
    },
  }
}

async function readSources(reader: ArtifactReader): Promise<{ plain: string; withTools: string | null }> {
  const file = await readText(reader, 'chat_template.jinja')
  if (file !== null) return { plain: file, withTools: null }
  const setting = (await readJson(reader, 'tokenizer_config.json'))?.chat_template
  if (setting === undefined || setting === null) return { plain: plainTemplate, withTools: null }
  if (typeof setting === 'string') return { plain: setting, withTools: null }
  const list: readonly unknown[] = Array.isArray(setting) ? setting : []
  const named = (name: string) => {
    const entry = list.find((each) => isObject(each) && each.name === name)
    return isObject(entry) && typeof entry.template === 'string' ? entry.template : null
  }
  const [plain, withTools] = [named('default'), named('tool_use')]
  const only = plain ?? withTools
  if (only === null)
    throw badRequest(
      'The model\'s file "tokenizer_config.json" has a "chat_template" that is neither a text nor a list with one named "default".',
    )
  return { plain: only, withTools }
}

/** A message as Hugging Face's templates expect it: the OpenAI shape, but with the arguments of calls as objects. */
function turnOf(message: ChatMessage, index: number, knowsDevelopers: boolean): JsonObject {
  return {
    role: message.role === 'developer' && !knowsDevelopers ? 'system' : message.role,
    content: message.content,
    ...(message.name === undefined ? {} : { name: message.name }),
    ...(message.toolCallId === undefined ? {} : { tool_call_id: message.toolCallId }),
    ...(message.toolCalls?.length
      ? {
          tool_calls: message.toolCalls.map((call, at) => ({
            id: call.id,
            type: 'function',
            function: {
              name: call.name,
              arguments: argumentsOf(call.arguments, `messages[${index}].tool_calls[${at}].function.arguments`),
            },
          })),
        }
      : {}),
  }
}

function argumentsOf(text: string, field: string): JsonObject {
  // Some clients send nothing for a call without arguments.
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalidParameter(field, `expected a JSON object as text, got ${JSON.stringify(text.slice(0, 60))}.`)
  }
  if (!isObject(value)) throw invalidParameter(field, 'expected a JSON object as text, got another kind of JSON.')
  return value
}

function descriptionOf(tool: Tool): JsonObject {
  return {
    type: 'function',
    function: {
      name: tool.name,
      description: tool.description ?? '',
      parameters: tool.parameters ?? { type: 'object', properties: {} },
    },
  }
}

function withDescriptions(turns: readonly JsonObject[], tools: readonly JsonObject[]): JsonObject[] {
  const text =
    `You may call these tools, given by their JSON signatures:\n${tools.map((tool) => JSON.stringify(tool)).join('\n')}\n` +
    `For each call, write a JSON object with its name and arguments within tags:\n${toolCallTags.open}\n` +
    `{"name": <name>, "arguments": <arguments>}\n${toolCallTags.close}`
  const [first, ...others] = turns
  if (first?.role !== 'system') return [{ role: 'system', content: text }, ...turns]
  return [{ ...first, content: `${first.content}\n\n${text}` }, ...others]
}
