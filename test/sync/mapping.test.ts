import { describe, expect, it } from 'vitest'
import type { Field } from '../../server/connectors/connector.ts'
import type { SchemaField } from '../../server/contentstack/stack.ts'
import {
  checkInbound,
  checkOutbound,
  defaultInbound,
  defaultOutbound,
  findSource,
  requireExternalIdField
} from '../../server/sync/mapping.ts'
import { contentType, field, schema } from './schemas.ts'

describe('an outbound mapping', () => {
  it('carries every field by default, one column each, none of them twice', () => {
    const mapping = defaultOutbound({
      ...contentType,
      schema: [...schema, field('version', 'number'), field('version_field', 'text'), field('_key', 'text')]
    })
    expect(mapping.map(row => row.from)).toEqual([...schema.map(({ uid }) => uid), 'version', 'version_field', '_key'])
    expect(new Set(mapping.map(row => row.to)).size).toBe(mapping.length)
    expect(mapping.find(row => row.from === 'version')?.to).toBe('version_field')
    expect(mapping.find(row => row.from === 'version_field')?.to).toBe('version_field_field')
  })

  it.each([
    ['title', 'text'],
    ['words', 'json'],
    ['on', 'datetime'],
    ['cover', 'text'],
    ['cover.uid', 'text'],
    ['author', 'json'],
    ['author.uid', 'text'],
    ['body', 'text'],
    ['body.text', 'text'],
    ['place.city', 'text'],
    ['place.inner.deep', 'number'],
    ['place.story.text', 'text'],
    ['_version', 'integer'],
    ['tags', 'json']
  ])('finds %s as a column of type %s', (path, type) => {
    expect(findSource(schema, path)?.type).toBe(type)
  })

  it.each([
    '',
    'nowhere',
    'title.text',
    'title.uid',
    'credits.who',
    'place.nowhere',
    'words.0',
    'place.',
    '__proto__',
    'constructor',
    'sections.quote'
  ])('finds nothing at %j', path => {
    expect(findSource(schema, path)).toBeNull()
  })

  it('refuses a field that does not exist, by its name and row', () => {
    const rows = [
      { from: 'title', to: 'title' },
      { from: 'subtitel', to: 'subtitle' },
      { from: 'code', to: 'locale' }
    ]
    expect(() => checkOutbound(contentType, rows)).toThrow(
      expect.objectContaining({
        code: 'invalid',
        message: expect.stringContaining('"subtitel"') as string,
        fields: { 'mapping.1.from': [expect.stringContaining('subtitel')], 'mapping.2.to': [expect.stringContaining('locale')] }
      })
    )
  })
})

describe('an inbound mapping', () => {
  const columns: Field[] = [
    { name: 'cca3', type: 'text', key: true },
    { name: 'name', type: 'text' },
    { name: 'count', type: 'integer' },
    { name: 'colour_of_sea', type: 'text' }
  ]

  it('maps columns to fields of the same name, and gives the mandatory title the name', () => {
    expect(
      checkInbound(contentType, columns, defaultInbound(contentType, columns, 'cca3', 'code')).map(({ from, to }) => `${from}>${to}`)
    ).toEqual(['cca3>code', 'name>title', 'count>count'])
  })

  it('refuses unknown columns and fields, a field twice and a mandatory field left out, each by name', () => {
    const rows = [
      { from: 'nmae', to: 'code' },
      { from: 'name', to: 'capitel' },
      { from: 'count', to: 'count' },
      { from: 'cca3', to: 'count' }
    ]
    expect(() => checkInbound(contentType, columns, rows)).toThrow(
      expect.objectContaining({
        code: 'invalid',
        fields: {
          'mapping.0.from': [expect.stringContaining('nmae')],
          'mapping.1.to': [expect.stringContaining('capitel')],
          'mapping.3.to': [expect.stringContaining('count')],
          'mapping.title': [expect.stringContaining('mandatory')]
        }
      })
    )
  })

  it.each<[string, Partial<SchemaField>]>([
    ['not unique', { unique: false }],
    ['multiple', { multiple: true }],
    ['localizable', { non_localizable: false }],
    ['a number', { data_type: 'number' }],
    ['several lines', { field_metadata: { multiline: true } }],
    ['rich text', { field_metadata: { allow_rich_text: true } }]
  ])('refuses an external id field that is %s and says what to add', (_, change) => {
    const bad = { ...contentType, schema: [{ ...field('code', 'text', { unique: true, non_localizable: true }), ...change }] }
    expect(() => requireExternalIdField(bad, 'code')).toThrow(
      expect.objectContaining({ code: 'invalid', remedy: expect.stringContaining('Add a Single Line Textbox') as string })
    )
  })

  it('offers the field that would do', () => {
    expect(() => requireExternalIdField(contentType, 'title')).toThrow(expect.objectContaining({ remedy: 'Choose one that can: code.' }))
    expect(requireExternalIdField(contentType, 'code').uid).toBe('code')
  })
})
