// What an expression of a mapping may be, judged by reading it: its syntax, its length, what it may not ask for, which fields it
// names. Nothing is evaluated here: that happens in a process of its own (expressions.ts). Pure. The language: https://jsonata.org
import jsonata from 'jsonata'

export const longestExpression = 4_000

/** One record must give the same value every time: unchanged is decided by the record's hash, before anything is mapped. */
const unsteady = new Set(['now', 'millis', 'random', 'shuffle'])

/** null when it may be used, else why not, as the end of "The expression …". */
export function whyRefused(text: string): string | null {
  if (text.trim() === '') return 'is empty.'
  if (text.length > longestExpression) return `has ${text.length} characters; ${longestExpression} are allowed.`
  let names: Set<string>
  try {
    names = namesIn(text, 'variable')
  } catch (error) {
    if (!isJsonataError(error)) return 'is nested too deeply.'
    return `cannot be read at character ${error.position}: ${error.message}.`
  }
  const changing = [...unsteady].find(name => names.has(name))
  if (changing !== undefined)
    return `uses $${changing}(), which gives another value each time; a record that has not changed would look changed.`
  if (names.has('eval')) return 'uses $eval(), which would hide what it does.'
  return null
}

/** Every name that it takes a step by. Whether each is a field of the record or of something inside it cannot always be told. */
export function namesOf(text: string): Set<string> {
  return namesIn(text, 'name')
}

/** Throws what the parser throws. */
function namesIn(text: string, type: 'name' | 'variable'): Set<string> {
  const found = new Set<string>()
  const seen = new Set<unknown>()
  const left: unknown[] = [jsonata(text).ast()]
  while (left.length > 0) {
    const node = left.pop()
    if (node === null || typeof node !== 'object' || seen.has(node)) continue
    seen.add(node)
    const { type: kind, value } = node as { type?: unknown; value?: unknown }
    if (kind === type && typeof value === 'string') found.add(value)
    left.push(...Object.values(node))
  }
  return found
}

function isJsonataError(error: unknown): error is { position: number; message: string } {
  return error !== null && typeof error === 'object' && 'position' in error && 'message' in error
}
