// What an inbound sync needs to know of a content type, decided before the server is asked. Pure.
import type { ContentType, MappingRow, SourceField } from '../../../server/http/contract/stack.ts'

type Field = ContentType['fields'][number]

/** Fields by which a record can be found again: single-line text, unique, the same in every locale. */
export function externalIdFields(type: ContentType): Field[] {
  return type.fields.filter(field => field.type === 'text' && field.unique && !field.localizable)
}

/** Column -> field of the same name, whatever the case or the underscores; `name` makes a title. Others are not carried. */
export function mappingByName(columns: SourceField[], type: ContentType): MappingRow[] {
  const bare = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  const rows = columns.flatMap(column => {
    const field = type.fields.find(each => bare(each.uid) === bare(column.name))
    return field ? [{ from: column.name, to: field.uid }] : []
  })
  const name = columns.find(column => bare(column.name) === 'name')
  const titled = rows.some(row => row.to === 'title') || !type.fields.some(field => field.uid === 'title')
  return name && !titled ? [{ from: name.name, to: 'title' }, ...rows] : rows
}

/** Mandatory fields that nothing is carried to: every create would be refused. */
export function missingFields(mapping: MappingRow[], type: ContentType): Field[] {
  return type.fields.filter(field => field.mandatory && !mapping.some(row => row.to === field.uid))
}
