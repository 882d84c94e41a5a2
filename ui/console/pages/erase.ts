// What an erasing takes, in words: the server counts rows by table, people know things. Pure.
import { counted } from '../../components/basics.tsx'

/** The tables whose rows people know by name, in the order in which they matter to them. */
const known: [table: string, one: string, many?: string][] = [
  ['installation', 'installation'],
  ['connection', 'connection'],
  ['sync', 'sync'],
  ['link', 'link'],
  ['run', 'run'],
  ['delivery', 'delivery', 'deliveries'],
  ['access_key', 'access key'],
  ['management_token', 'record of a token', 'records of tokens'],
  ['secret', 'sealed secret'],
  ['alert_recipient', 'recipient of alerts', 'recipients of alerts'],
  ['alert', 'alert']
]

/** '1 installation', '3 syncs', …, 'who did what in 120 audit events', '57 other rows'. */
export function erasedWords(rows: Record<string, number>): string[] {
  const named = new Set(['audit_event', ...known.map(([table]) => table)])
  const others = Object.entries(rows).reduce((sum, [table, number]) => (named.has(table) ? sum : sum + number), 0)
  return [
    ...known.flatMap(([table, one, many]) => (rows[table] ? [counted(rows[table], one, many)] : [])),
    ...(rows['audit_event'] ? [`who did what in ${counted(rows['audit_event'], 'audit event')}`] : []),
    ...(others > 0 ? [`${counted(others, 'other row')} that belong${others === 1 ? 's' : ''} to them`] : [])
  ]
}
