// Whether a mapping still fits its content type as that is now: the content type may change under a sync at any time, and nothing is
// written by a mapping that means something else than it did. Pure.
import type { ContentType } from '../contentstack/stack.ts'
import { AppError } from '../errors.ts'
import { isEmpty } from './inward-value.ts'
import { recordRows } from './inward.ts'
import { fieldKind, findSource, holdsKeys, type Mapping } from './mapping.ts'
import { defaultValue } from './outward.ts'
import { mapRow } from './computed.ts'

export interface Mapped {
  direction: 'outbound' | 'inbound'
  /** uid */
  contentType: string
  mapping: readonly Mapping[]
  /** Inbound only. */
  externalIdField: string | null
}

export interface Broken {
  /** The field of the content type; its uid when the whole is gone. */
  field: string
  /** One sentence. */
  why: string
}

/** Empty when it fits. `now` null: the content type is gone. */
export function whyBroken(mapped: Mapped, now: ContentType | null): Broken[] {
  if (now === null) return [{ field: mapped.contentType, why: `The content type ${mapped.contentType} is gone.` }]
  return mapped.direction === 'outbound' ? outboundBroken(mapped.mapping, now) : inboundBroken(mapped, now)
}

function outboundBroken(mapping: readonly Mapping[], now: ContentType): Broken[] {
  const fields = new Set(now.schema.map(field => field.uid))
  return mapping.flatMap((row): Broken[] => {
    if (row.from === undefined) {
      const gone = (row.reads ?? []).filter(field => !fields.has(field))
      return gone.map(field => ({ field, why: `The field "${field}", which the expression for "${row.to}" reads, is gone.` }))
    }
    const source = findSource(now.schema, row.from)
    if (!source) return [{ field: row.from, why: `The field "${row.from}" is gone.` }]
    if (source.type === row.type) return []
    return [{ field: row.from, why: `The field "${row.from}" gives ${source.type} now, but its column "${row.to}" takes ${row.type}.` }]
  })
}

function inboundBroken({ mapping, externalIdField }: Mapped, now: ContentType): Broken[] {
  const broken: Broken[] = []
  const targets = new Set(mapping.map(row => row.to))
  for (const row of mapping) {
    const field = now.schema.find(candidate => candidate.uid === row.to)
    if (!field) {
      if (row.to !== 'tags') broken.push({ field: row.to, why: `The field "${row.to}" is gone.` })
    } else if (row.kind !== undefined && fieldKind(field) !== row.kind)
      broken.push({ field: row.to, why: `The field "${row.to}" was ${row.kind} and is ${fieldKind(field)} now.` })
    else if (row.to === externalIdField && !holdsKeys(field))
      broken.push({
        field: row.to,
        why: `The field "${row.to}" can no longer hold the key: it must be single-line text, unique, not multiple and non-localizable.`
      })
  }
  for (const field of now.schema) {
    if (field.mandatory === true && !targets.has(field.uid))
      broken.push({ field: field.uid, why: `The field "${field.uid}" is mandatory now, but nothing is mapped to it.` })
  }
  return broken
}

/** AppError invalid naming each row whose default does not fit where it goes. */
export function refuseDefaults(direction: Mapped['direction'], mapping: readonly Mapping[], contentType: ContentType): void {
  const problems: Record<string, string[]> = {}
  for (const [index, row] of mapping.entries()) {
    const { default: given } = row
    if (given === undefined) continue
    const [made] =
      direction === 'outbound'
        ? [mapRow(row.to, () => defaultValue(row, given))]
        : recordRows({ key: '', values: {} }, [{ ...row, from: row.from ?? '', expression: undefined }], contentType, new Map())
    if (isEmpty(given)) problems[`mapping.${index}.default`] = [`The default of ${row.to} is empty.`]
    else if (made && 'error' in made) problems[`mapping.${index}.default`] = [made.error]
  }
  if (Object.keys(problems).length > 0) throw new AppError('invalid', Object.values(problems).flat().join(' '), { fields: problems })
}
