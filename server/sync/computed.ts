// What the expressions of a mapping gave for one record, before it is fitted to columns or fields. A mapping without expressions
// asks no process at all.
import { AppError } from '../errors.ts'
import type { Evaluation, Expressions } from './expressions.ts'
import type { Mapping } from './mapping.ts'

/** By the row's `to`. */
export type Computed = ReadonlyMap<string, Evaluation>

export const nothingComputed: Computed = new Map()

/** One for each record, in their order. Throws as Expressions.evaluate does. */
export async function compute(
  expressions: Expressions,
  tenant: string,
  mapping: readonly Mapping[],
  records: readonly unknown[],
  signal: AbortSignal
): Promise<Computed[]> {
  const rows = mapping.flatMap(({ to, expression }) => (expression === undefined ? [] : [{ to, expression }]))
  if (rows.length === 0) return records.map(() => nothingComputed)
  const evaluated = await expressions.evaluate(
    tenant,
    rows.map(row => row.expression),
    records,
    signal
  )
  return evaluated.map(
    ofRecord => new Map(rows.map(({ to }, index): [string, Evaluation] => [to, ofRecord[index] ?? { error: 'gave no answer.' }]))
  )
}

/** null for nothing. AppError invalid naming the row. */
export function computedValue(row: Pick<Mapping, 'to'>, computed: Computed): unknown {
  const evaluation = computed.get(row.to) ?? { error: 'was not evaluated.' }
  if ('error' in evaluation) throw new AppError('invalid', `The expression for ${row.to} ${evaluation.error}`)
  return JSON.parse(evaluation.value)
}

/** What a row makes of one record. */
export type MappedRow<Value> = { to: string; value: Value } | { to: string; error: string }

/** AppError invalid with every row that gave no value. */
export function allMapped<Value>(rows: readonly MappedRow<Value>[]): [to: string, value: Value][] {
  const errors = rows.flatMap(row => ('error' in row ? [row] : []))
  if (errors.length > 0) {
    throw new AppError('invalid', errors.map(({ error }) => error).join(' '), {
      fields: Object.fromEntries(errors.map(({ to, error }) => [to, [error]]))
    })
  }
  return rows.flatMap(row => ('value' in row ? [[row.to, row.value] as [string, Value]] : []))
}

/** Throws whatever is not the record's own fault. */
export function mapRow<Value>(to: string, make: () => Value): MappedRow<Value> {
  try {
    return { to, value: make() }
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid') return { to, error: error.message }
    throw error
  }
}
