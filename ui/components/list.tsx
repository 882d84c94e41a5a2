// A list page: filters and place live in the URL, one page of rows at a time by keyset, older and newest as links, so that the
// browser's own Back works. The table says what each column is; rows carry a link in their first telling cell, never a modal.
import type { ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import { Empty, Problem, Waiting } from './basics.tsx'

export interface Column<T> {
  title: string
  render: (row: T) => ReactNode
  number?: boolean
  /** Sentences: never squeezed to a word a line, also where the table is wider than the page. */
  words?: boolean
}

interface TableProps<T> {
  label: string
  columns: Column<T>[]
  rows: T[]
  rowKey: (row: T) => string
}

export function Table<T>({ label, columns, rows, rowKey }: TableProps<T>) {
  return (
    // Wider than a phone: it scrolls inside its frame, which the keyboard can reach.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex, jsx-a11y/prefer-tag-over-role
    <div className="table-frame" tabIndex={0} role="group" aria-label={label}>
      <table className="table">
        <thead>
          <tr>
            {columns.map(column => (
              <th key={column.title} scope="col" className={column.number ? 'number' : ''}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={rowKey(row)}>
              {columns.map(column => (
                <td key={column.title} className={column.number ? 'number' : column.words ? 'words' : ''}>
                  {column.render(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface Answer<T> {
  data: { items: T[]; next: string | null } | undefined
  error: unknown
  refetch: () => unknown
}

/** The table of one answer with its loading, error and empty states, and the links to older and newest. */
export function ListOf<T>({
  query,
  empty,
  waitingFor,
  ...table
}: Omit<TableProps<T>, 'rows'> & { query: Answer<T>; empty: ReactNode; waitingFor: string }) {
  const [search] = useSearchParams()
  const { data, error } = query
  if (!data) return error ? <Problem error={error} retry={() => void query.refetch()} /> : <Waiting label={waitingFor} lines={6} />
  const paged = search.has('before')
  const filtered = [...search.keys()].some(key => key !== 'before')
  return (
    <div className="stack-tight">
      {error ? <Problem error={error} retry={() => void query.refetch()} /> : null}
      {data.items.length > 0 ? (
        <Table {...table} rows={data.items} />
      ) : paged || filtered ? (
        <Empty>Nothing here matches the filter.</Empty>
      ) : (
        empty
      )}
      {paged || data.next ? (
        <nav className="pages" aria-label={`Pages of ${table.label}`}>
          {paged ? (
            <Link className="button" to={{ search: searchWith(search, { before: null }) }}>
              Newest
            </Link>
          ) : null}
          {data.next ? (
            <Link className="button" to={{ search: searchWith(search, { before: data.next }) }}>
              Older
            </Link>
          ) : null}
        </nav>
      ) : null}
    </div>
  )
}

/** The same search with some values changed; null takes one out. A changed filter begins at the newest page. */
export function searchWith(search: URLSearchParams, changes: Record<string, string | null>): string {
  const next = new URLSearchParams(search)
  if (!('before' in changes)) next.delete('before')
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') next.delete(name)
    else next.set(name, value)
  }
  return next.toString()
}

/** Filters of this page's URL, and the way to change one. */
export function useFilters<Name extends string>(names: readonly Name[]) {
  const [search, setSearch] = useSearchParams()
  const values = Object.fromEntries([...names, 'before'].map(name => [name, search.get(name)])) as Record<Name | 'before', string | null>
  const set = (name: Name, value: string) => setSearch(searchWith(search, { [name]: value }))
  return { values, set }
}
