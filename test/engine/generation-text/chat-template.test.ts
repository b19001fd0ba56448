import { describe, expect, it } from 'vitest'
import type { ChatMessage, Tool } from '#contracts/generation.ts'
import { loadChatTemplate } from '#src/engine/generation/chat-template.ts'
import { memoryReader } from '../../support/shared-models.ts'

const chatMl = `{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\\n</tools>\\nAnswer within <tool_call></tool_call>.<|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' + message.content }}
        {%- if message.tool_calls %}{%- for call in message.tool_calls %}
            {{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
            {{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}
        {%- endfor %}{%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}`

const llama3 = `{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system_message = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: " + date_string + "\\n\\n" + system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}`

const zephyr = `{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + message['content'] + eos_token }}
{% else %}
{{ raise_exception('Only user, system and assistant roles are supported!') }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}`

const plainEnd = "{{ messages[-1]['content'] }}"

const texts = { beginText: '<s>', endText: '</s>' }
const now = () => new Date(Date.UTC(2024, 6, 5, 23, 59))
const load = (chat_template: unknown) =>
  loadChatTemplate(memoryReader({ 'tokenizer_config.json': JSON.stringify({ chat_template }) }), texts, now)

const talk: ChatMessage[] = [
  { role: 'system', content: 'Be kind.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hello!' },
  { role: 'user', content: 'Who are you?' },
]
const weather: Tool = { name: 'weather', description: 'Tells the weather.', parameters: { type: 'object' } }

describe('loadChatTemplate', () => {
  it('gives the template the variables of the request, but for those that have a value already', async () => {
    const thinking = `{% if enable_thinking is defined and not enable_thinking %}no {% endif %}${plainEnd}`
    const { render } = await load(thinking)
    expect(render(talk, [], { enable_thinking: false })).toBe('no Who are you?')
    expect(render(talk, [])).toBe('Who are you?')
    for (const name of ['messages', 'tools', 'add_generation_prompt', 'raise_exception', 'namespace', 'true'])
      expect(() => render(talk, [], { [name]: false })).toThrow(`chat_template_kwargs.${name}: is a name that`)
  })

  it('renders ChatML', async () => {
    expect((await load(chatMl)).render(talk, [])).toBe(
      '<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n' +
        '<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n',
    )
  })

  it('renders the Llama 3 form, with its begin token and the date', async () => {
    expect((await load(llama3)).render(talk.slice(0, 2), [])).toBe(
      '<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 05 Jul 2024\n\nBe kind.<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    )
  })

  it('renders the Zephyr form, whose blocks stand on lines of their own', async () => {
    expect((await load(zephyr)).render(talk.slice(0, 2), [])).toBe(
      '<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\n',
    )
  })

  it("answers 400 with the template's own message where it raises one", async () => {
    const { render } = await load(zephyr)
    expect(() => render([{ role: 'tool', content: 'x' }], [])).toThrow(
      expect.objectContaining({
        status: 400,
        message: expect.stringContaining('Only user, system and assistant roles'),
      }),
    )
  })

  it('gives tools and calls in the shape that templates expect: arguments as objects', async () => {
    const template = await load(chatMl)
    const text = template.render(
      [
        { role: 'user', content: 'Rain?' },
        { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'weather', arguments: '{"city": "Ulm"}' }] },
        { role: 'tool', content: 'dry', toolCallId: 'c1' },
      ],
      [weather],
    )
    expect(text).toContain('{"type": "function", "function": {"name": "weather", "description": "Tells the weather."')
    expect(text).toContain('<tool_call>\n{"name": "weather", "arguments": {"city": "Ulm"}}\n</tool_call>')
    expect(text).toContain('<tool_response>\ndry\n</tool_response>')
    expect(template.knowsTools).toBe(true)
    expect(template.toolCallTags).toEqual({ open: '<tool_call>', close: '</tool_call>' })
  })

  it.each([['{"a"'], ['[1]'], ['null']])('refuses the arguments %s of a call and names their place', async (broken) => {
    const { render } = await load(chatMl)
    const call = { id: 'c1', name: 'weather', arguments: broken }
    expect(() => render([{ role: 'assistant', content: '', toolCalls: [call] }], [])).toThrow(
      expect.objectContaining({ status: 400, field: 'messages[0].tool_calls[0].function.arguments' }),
    )
  })

  it('describes tools in the system message of a template that has no place for them', async () => {
    const template = await load(zephyr)
    expect(template.knowsTools).toBe(false)
    expect(template.toolCallTags).toEqual({ open: '<tool_call>', close: '</tool_call>' })
    const text = template.render(talk.slice(0, 2), [weather])
    expect(text).toMatch(
      /^<\|system\|>\nBe kind\.\n\nYou may call these tools.*"name":"weather".*<\/s>\n<\|user\|>\nHi/s,
    )
    expect(template.render(talk.slice(1, 2), [weather])).toMatch(/^<\|system\|>\nYou may call/)
    expect(template.render(talk.slice(0, 2), [])).not.toContain('weather')
  })

  it('names no tags where a template shows tools in another form', async () => {
    const template = await load(
      '{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}{% endif %}{{ messages[0].content }}',
    )
    expect(template).toMatchObject({ knowsTools: true, toolCallTags: null })
  })

  it('reads reasoning tags from the template', async () => {
    expect((await load(chatMl)).reasoningTags).toBeNull()
    const thinking = await load("{{ messages[0].content.split('</think>')[-1] }}<|assistant|><think>\n")
    expect(thinking.reasoningTags).toEqual({ open: '<think>', close: '</think>' })
  })

  it('calls developers system where the template does not know them', async () => {
    const messages: ChatMessage[] = [{ role: 'developer', content: 'Be brief.' }]
    expect((await load(zephyr)).render(messages, [])).toContain('<|system|>\nBe brief.')
    const knowing = "{% for m in messages %}{% if m.role == 'developer' %}DEV {{ m.content }}{% endif %}{% endfor %}"
    expect((await load(knowing)).render(messages, [])).toBe('DEV Be brief.')
  })

  it('reads a list of templates and takes tool_use where tools are given', async () => {
    const { render } = await load([
      { name: 'default', template: 'plain {{ messages[0].content }}' },
      { name: 'tool_use', template: 'tools {{ tools[0].function.name }}' },
    ])
    expect(render(talk, [])).toBe('plain Be kind.')
    expect(render(talk, [weather])).toBe('tools weather')
  })

  it('prefers chat_template.jinja', async () => {
    const reader = memoryReader({
      'chat_template.jinja': 'file {{ messages[0].content }}',
      'tokenizer_config.json': JSON.stringify({ chat_template: 'setting' }),
    })
    expect((await loadChatTemplate(reader, texts)).render(talk, [])).toBe('file Be kind.')
  })

  it('joins the turns of a model without a template', async () => {
    expect((await load(undefined)).render(talk, [])).toBe('Be kind.\nHi\nHello!\nWho are you?')
  })

  it('knows the directives of strftime, in UTC and English', async () => {
    const { render } = await load("{{ strftime_now('%A %a %d.%m.%y %B %b %Y %H:%M:%S %% %q') }}")
    expect(render(talk, [])).toBe('Friday Fri 05.07.24 July Jul 2024 23:59:00 % %q')
  })

  it.each([
    ['is broken', '{% for %}', 'cannot be read'],
    ['is too long', 'x'.repeat(300_000), '300000'],
    ['is of another kind', [{ name: 'rag', template: 'x' }], '"default"'],
  ])('refuses a template that %s', async (_, template, message) => {
    await expect(load(template)).rejects.toMatchObject({ status: 400, message: expect.stringContaining(message) })
  })

  it.each([
    [
      'runs without end',
      '{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}',
      'steps',
    ],
    [
      'doubles a list',
      '{% set ns = namespace(s=[1, 2, 3]) %}{% for a in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}',
      'items',
    ],
    ['counts too far', '{% for a in range(1000000000) %}{% endfor %}', 'range'],
    [
      'doubles a text',
      "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for a in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      'characters',
    ],
    ['calls itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'template'],
    ['fails', '{{ messages.missing.deeper() }}', 'failed'],
  ])('ends a template that %s', async (_, template, message) => {
    const { render } = await load(template)
    expect(() => render(talk, [])).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringContaining(message) }),
    )
  })

  it('has steps to spare for the longest conversation', async () => {
    const { render } = await load(chatMl)
    const long: ChatMessage[] = Array.from({ length: 1_024 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content: `${i}`,
    }))
    expect(render(long, [])).toMatch(/1023<\|im_end\|>\n<\|im_start\|>assistant\n$/)
  })
})
