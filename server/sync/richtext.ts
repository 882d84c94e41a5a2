// JSON rich text made readable: as HTML by Contentstack's own serializer, or as plain text. Pure; a document that the
// serializer cannot take still gives its text, never an error.
import { jsonToHtml } from '@contentstack/json-rte-serializer'
import type { Entry, SchemaField } from '../contentstack/stack.ts'
import { replaceValues } from './field-walk.ts'
import { isRichText } from './mapping.ts'

interface Node {
  text?: unknown
  type?: unknown
  children?: unknown
}

const blocks = new Set(['p', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'li', 'blockquote', 'tr', 'hr', 'code', 'div', 'doc'])

export function richTextHtml(document: unknown): string {
  if (!isNode(document)) return ''
  try {
    return jsonToHtml(structuredClone(document))
  } catch {
    return richTextPlain(document)
  }
}

/** The entry with text in place of every JSON rich text, wherever it lies. */
export function plainRichText(schema: readonly SchemaField[], entry: Entry): Entry {
  return replaceValues(schema, entry, (field, value) => (isRichText(field) ? richTextPlain(value) : value)) as Entry
}

export function richTextPlain(document: unknown): string {
  return textOf(document)
    .replaceAll(/\n{2,}/g, '\n')
    .trim()
}

function textOf(node: unknown): string {
  if (!isNode(node)) return ''
  if (typeof node.text === 'string') return node.text
  const inner = Array.isArray(node.children) ? node.children.map(textOf).join('') : ''
  return typeof node.type === 'string' && blocks.has(node.type) ? `${inner}\n` : inner
}

function isNode(value: unknown): value is Node {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
