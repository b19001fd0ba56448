/** `glim tokens …` */
import { limits } from '#contracts/limits.ts'
import { type Command, defineCommand } from '../command.ts'
import { integerOption } from '../parse-arguments.ts'
import { table, timeText } from '../table.ts'

const createCommand = defineCommand({
  name: 'tokens create',
  summary: 'make a bearer token; it is shown once',
  arguments: [],
  options: {
    comment: { type: 'string', value: 'TEXT', help: 'what it is for' },
    'lifetime-seconds': { type: 'string', value: 'N', help: 'how long it is valid; for ever if left out' },
    user: { type: 'string', value: 'NAME', help: 'whose it is, if not yours; for administrators' },
    groups: { type: 'string', value: 'A,B', help: 'groups that its holder is in; for administrators' },
  },
  examples: ['glim tokens create --comment "the web shop" --user shop --lifetime-seconds 86400'],
  async run({ values, client }) {
    const lifetime = integerOption('--lifetime-seconds', values['lifetime-seconds'], 1, limits.tokenLifetimeSeconds)
    const groups = values.groups
      ?.split(',')
      .map((group) => group.trim())
      .filter((group) => group !== '')
    const created = await client().createToken({
      ...(values.comment === undefined ? {} : { comment: values.comment }),
      ...(lifetime === undefined ? {} : { lifetime_seconds: lifetime }),
      ...(values.user === undefined ? {} : { user_name: values.user }),
      ...(groups === undefined ? {} : { groups }),
    })
    // The token alone, so that $(glim tokens create) is one.
    return { value: created, text: created.token_value }
  },
})

const listCommand = defineCommand({
  name: 'tokens list',
  summary: 'list the tokens, without their values',
  arguments: [],
  options: {},
  examples: ['glim tokens list'],
  async run({ client, terminal }) {
    const tokens = await client().listTokens()
    const rows = tokens.map((token) => [
      token.token_id,
      token.created_by_username,
      timeText(token.creation_time),
      token.expiry_time < 0 ? 'never' : timeText(token.expiry_time),
      token.comment || '-',
    ])
    const text =
      rows.length > 0
        ? table(['ID', 'USER', 'CREATED', 'EXPIRES', 'COMMENT'], rows, terminal.bold)
        : "There are no tokens but the administrator's. Make one with: glim tokens create"
    return { value: { token_infos: tokens }, text }
  },
})

const revokeCommand = defineCommand({
  name: 'tokens revoke',
  summary: 'revoke a token at once',
  arguments: [{ name: 'ID', help: 'id of the token, as glim tokens list shows it' }],
  options: {},
  examples: ['glim tokens revoke 2f6d0c6e9b7a4f0f8f0d1c2b3a495867'],
  async run({ args, client }) {
    await client().revokeToken(args[0]!)
    return { value: { revoked: args[0] }, text: `Revoked token ${args[0]}.` }
  },
})

export const tokenCommands: readonly Command[] = [createCommand, listCommand, revokeCommand]
