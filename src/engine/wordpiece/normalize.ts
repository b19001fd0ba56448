/**
 * Normalizers, exactly as the tokenizer library has them, its quirks included: of the rare Chinese characters it takes no notice,
 * for one. What is only ASCII, as most text, is spared the tables of Unicode.
 */
import { isObject, type JsonObject } from '../read-artifact.ts'

export type Normalize = (text: string) => string

const forms = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const
const plain = /^[\t\n\r -~]*$/

/** Null where the file names none, undefined for one that is the library's business. */
export function normalizerOf(config: unknown): Normalize | null | undefined {
  if (config === null) return null
  if (!isObject(config)) return undefined
  switch (config.type) {
    case 'BertNormalizer':
      return bertNormalizer(config)
    case 'Lowercase':
      return (text) => text.toLowerCase()
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '')
    case 'Sequence':
      return sequenceOf(config.normalizers)
    default: {
      const form = forms.find((name) => name === config.type)
      return form && ((text) => text.normalize(form))
    }
  }
}

function sequenceOf(configs: unknown): Normalize | undefined {
  if (!Array.isArray(configs)) return undefined
  const steps: Normalize[] = []
  for (const config of configs) {
    const step = normalizerOf(config)
    if (step === undefined) return undefined
    if (step) steps.push(step)
  }
  return (text) => steps.reduce((normalized, step) => step(normalized), text)
}

function bertNormalizer(config: JsonObject): Normalize {
  const { clean_text: cleans, handle_chinese_chars: parts, lowercase: lowers } = config
  const strips = lowers ? config.strip_accents !== false : config.strip_accents
  return (text) => {
    let normalized = text
    if (plain.test(text)) {
      if (cleans) normalized = normalized.replace(/[\t\n\r]/g, ' ')
      return lowers ? normalized.toLowerCase() : normalized
    }
    if (cleans) {
      normalized = normalized.replace(/\0|\ufffd|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '').replace(/\s/g, ' ')
    }
    if (parts) normalized = normalized.replace(/[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]/g, ' $& ')
    if (lowers) normalized = normalized.toLowerCase()
    return strips ? normalized.normalize('NFD').replace(/\p{Mn}/gu, '') : normalized
  }
}
