// A mapping while it is edited: each row with everything that may be typed into it, and the way from and to the rows that the server
// knows. Pure.
import type { MappingRow } from '../../../server/http/contract/stack.ts'
import { isApiError } from '../../api/http.ts'

export type ColumnType = NonNullable<MappingRow['type']>
export const columnTypes: readonly ColumnType[] = ['text', 'integer', 'number', 'boolean', 'datetime', 'json']

export interface DraftRow {
  /** Keeps the focus where it is while rows come and go. */
  id: number
  computed: boolean
  from: string
  expression: string
  to: string
  type: ColumnType
  otherwise: string
  /** The default as it came: typed text would turn a number into another value. */
  given: MappingRow['default']
  required: boolean
}

let last = 0

export function draftRow(row: Partial<MappingRow> = {}): DraftRow {
  last += 1
  return {
    id: last,
    computed: row.expression !== undefined,
    from: row.from ?? '',
    expression: row.expression ?? '',
    to: row.to ?? '',
    type: row.type ?? 'text',
    otherwise: row.default === undefined ? '' : String(row.default),
    given: row.default,
    required: row.required === true
  }
}

/** As the server takes them. A row that was not begun is left out. */
export function mappingOf(rows: readonly DraftRow[], direction: 'outbound' | 'inbound'): MappingRow[] {
  return begun(rows).map(row => ({
    ...(row.computed ? { expression: row.expression } : { from: row.from }),
    to: row.to.trim(),
    ...(row.otherwise === '' ? {} : { default: row.otherwise === String(row.given) ? row.given : row.otherwise }),
    ...(row.required ? { required: true } : {}),
    ...(row.computed && direction === 'outbound' ? { type: row.type } : {})
  }))
}

/** Whether every row that was begun says what goes where. */
export function isComplete(rows: readonly DraftRow[]): boolean {
  const all = begun(rows)
  return all.length > 0 && all.every(row => row.to.trim() !== '' && (row.computed ? row.expression.trim() : row.from) !== '')
}

function begun(rows: readonly DraftRow[]): DraftRow[] {
  return rows.filter(row => row.to.trim() !== '' || row.from !== '' || row.expression.trim() !== '')
}

/** What the server says about one row, whichever of its parts it means. */
export function rowErrors(error: unknown, rows: readonly DraftRow[], row: DraftRow): string[] {
  if (!isApiError(error)) return []
  const index = begun(rows).indexOf(row)
  return Object.entries(error.fields)
    .filter(([path]) => path === `mapping.${index}` || path.startsWith(`mapping.${index}.`))
    .flatMap(([, says]) => says)
}
