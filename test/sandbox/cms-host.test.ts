// The parts of the CMS page that think: what travels in messages, which request a query stands for, where an app's own request
// may go, and in which shape an entry is written.
import { describe, expect, it } from 'vitest'
import { outlives, wordsOf } from '../../sandbox/cms/access/scope-words.ts'
import { createDraft, type SchemaField } from '../../sandbox/cms/entry/draft.ts'
import { writeShape } from '../../sandbox/cms/entry/shape.ts'
import { targetOf } from '../../sandbox/cms/host/api-adapter.ts'
import { requestOf } from '../../sandbox/cms/host/stack-query.ts'
import { revive } from '../../sandbox/cms/host/wire.ts'
import { match, withoutHash } from '../../sandbox/cms/route.ts'
import { userScopes } from '../../sandbox/oauth/scopes.ts'

describe('messages of an app', () => {
  it.each([
    ['a date', { __type__: 'date', __val__: '2026-11-23T00:00:00.000Z' }, '2026-11-23T00:00:00.000Z'],
    ['an error', { __type__: 'error', __val__: { message: 'no' } }, 'no'],
    ['a function', { __type__: 'postrobot_method', __id__: 'x' }, undefined],
    ['what lies deep', [{ a: { __type__: 'undefined' } }], [{ a: undefined }]],
    ['null', null, null],
    ['plain data', { a: [1, 'b', false] }, { a: [1, 'b', false] }]
  ])('bring %s back', (_name, sent, received) => expect(revive(sent)).toEqual(received))
})

describe('a stack query', () => {
  it.each([
    [{ action: 'getContentType', uid: 'article', params: { a: 1 } }, 'GET', '/content_types/article'],
    [{ action: 'getEntries', content_type_uid: 'article', params: { limit: 2 } }, 'GET', '/content_types/article/entries'],
    [
      { action: 'updateEntry', content_type_uid: 'article', uid: 'blt1', payload: { entry: {} } },
      'PUT',
      '/content_types/article/entries/blt1'
    ],
    [{ action: 'publishAsset', uid: 'blt1', payload: {} }, 'POST', '/assets/blt1/publish'],
    [{ action: 'getManagementTokens' }, 'GET', '/stacks/management_tokens']
  ])('%j is %s %s', (query, method, path) => expect(requestOf(query)).toMatchObject({ method, path }))

  it.each(['', 'toString', '__proto__', 'dropStack'])('refuses the unknown action "%s" by its name', action => {
    expect(() => requestOf({ action })).toThrow(`does not emulate the stack query "${action}"`)
  })
  it.each([undefined, ''])('refuses to ask for nothing', uid => {
    expect(() => requestOf({ action: 'getContentType', ...(uid === undefined ? {} : { uid }) })).toThrow('Kindly provide valid parameters')
  })
  it('keeps a uid inside its own path segment', () => {
    expect(requestOf({ action: 'getAsset', uid: '../../stacks' }).path).toBe('/assets/..%2F..%2Fstacks')
  })
})

describe('an app’s own request', () => {
  const cma = 'http://localhost:4101'
  it.each([
    ['a path', { url: '/v3/entries' }, 'http://localhost:4101/v3/entries'],
    ['an address', { url: 'http://localhost:4102/apps' }, 'http://localhost:4102/apps'],
    ['a base and a path', { baseURL: 'http://localhost:4101/v3', url: '/user' }, 'http://localhost:4101/v3/user'],
    [
      'what the SDK makes of a host with a scheme',
      { baseURL: 'https://http://localhost:4101:443/v3', url: 'user' },
      'http://localhost:4101/v3/user'
    ],
    [
      'what the SDK makes of a real host',
      { url: 'https://https://api.contentstack.io:443/v3/user' },
      'https://api.contentstack.io/v3/user'
    ],
    ['another scheme', { url: 'javascript:alert(1)' }, 'javascript:alert(1)'],
    ['another host without a scheme', { url: '//evil.example/v3' }, 'http://evil.example/v3']
  ])('reads %s', (_name, request, address) => expect(targetOf(request, cma)?.href).toBe(address))
})

describe('an entry is written', () => {
  const schema: SchemaField[] = [
    { uid: 'title', data_type: 'text', display_name: 'Title' },
    { uid: 'cover', data_type: 'file', display_name: 'Cover' },
    { uid: 'gallery', data_type: 'file', display_name: 'Gallery', multiple: true },
    { uid: 'author', data_type: 'reference', display_name: 'Author' },
    { uid: 'place', data_type: 'group', display_name: 'Place', schema: [{ uid: 'photo', data_type: 'file', display_name: 'Photo' }] },
    {
      uid: 'rows',
      data_type: 'group',
      display_name: 'Rows',
      multiple: true,
      schema: [{ uid: 'photo', data_type: 'file', display_name: 'Photo' }]
    },
    {
      uid: 'sections',
      data_type: 'blocks',
      display_name: 'Sections',
      multiple: true,
      blocks: [{ uid: 'picture', title: 'Picture', schema: [{ uid: 'image', data_type: 'file', display_name: 'Image' }] }]
    }
  ]
  const asset = (uid: string) => ({ uid, url: `https://images/${uid}`, filename: 'a.png' })

  it('without system fields, with files as uids at every depth, with the uids of rows and blocks', () => {
    const read = {
      uid: 'blt1',
      _version: 3,
      locale: 'en-us',
      created_at: 'x',
      publish_details: [],
      tags: ['one'],
      title: 'Title',
      cover: asset('a'),
      gallery: [asset('b'), asset('c')],
      author: [{ uid: 'blt2', _content_type_uid: 'author' }],
      place: { photo: asset('d') },
      rows: [{ photo: asset('e'), _metadata: { uid: 'cs1' } }],
      sections: [{ picture: { image: asset('f'), _metadata: { uid: 'cs2' } } }]
    }
    expect(writeShape(read, schema)).toEqual({
      tags: ['one'],
      title: 'Title',
      cover: 'a',
      gallery: ['b', 'c'],
      author: [{ uid: 'blt2', _content_type_uid: 'author' }],
      place: { photo: 'd' },
      rows: [{ photo: 'e', _metadata: { uid: 'cs1' } }],
      sections: [{ picture: { image: 'f', _metadata: { uid: 'cs2' } } }]
    })
  })
  it('with an emptied file as null', () => expect(writeShape({ cover: null }, schema)).toEqual({ cover: null }))
})

describe('a draft', () => {
  it('changes inside groups and blocks without touching what is saved', () => {
    const saved = { place: { a: 1 }, sections: [{ quote: { words: 'old' } }, { quote: { words: 'other' } }] }
    const draft = createDraft(saved)
    draft.set('place.a', 2)
    draft.set('sections.0.quote.words', 'new')
    expect(draft.current()).toEqual({ place: { a: 2 }, sections: [{ quote: { words: 'new' } }, { quote: { words: 'other' } }] })
    expect(draft.saved()).toEqual({ place: { a: 1 }, sections: [{ quote: { words: 'old' } }, { quote: { words: 'other' } }] })
  })
  it('tells a change with resolved data, which the SDK reads without a look', () => {
    const events: unknown[] = []
    const draft = createDraft({ title: 'a' })
    draft.listen(event => events.push(event))
    draft.set('title', 'b')
    expect(events).toEqual([{ name: 'entryChange', data: { title: 'b' }, otherData: { resolvedData: { title: 'b' } } }])
  })
})

describe('addresses of the page', () => {
  it.each([
    ['http://localhost:4100/#!/apps/abc/authorize?state=x', '/apps/abc/authorize?state=x'],
    ['http://localhost:4100/?response_type=code&client_id=c#!/apps/abc/authorize', '/apps/abc/authorize?response_type=code&client_id=c'],
    ['http://localhost:4100/#!/apps/abc/install', '/apps/abc/install']
  ])('%s means %s', (address, path) => expect(withoutHash(new URL(address))).toBe(path))
  it.each(['http://localhost:4100/stack/x', 'http://localhost:4100/#top', 'http://localhost:4100/#!//evil.example/x'])(
    '%s stays on this host',
    address => {
      const path = withoutHash(new URL(address))
      expect(path === null || new URL(path, 'http://localhost:4100').host === 'localhost:4100').toBe(true)
    }
  )
  it('takes parameters out of a path, decoded', () => {
    expect(match('/stack/:key/apps', '/stack/a%20b/apps')).toEqual({ key: 'a b' })
    expect(match('/stack/:key/apps', '/stack/a/apps/more')).toBeNull()
  })
})

describe('scopes in words', () => {
  it('has a sentence for each scope the product asks for', () => {
    for (const scope of [
      'user:read',
      'cm.stack.management-tokens:read',
      'cm.stack.management-tokens:write',
      'cm.entries.management:read'
    ]) {
      expect(userScopes.has(scope)).toBe(true)
      expect(wordsOf(scope)).not.toBe(scope)
    }
  })
  it('names a scope as it stands rather than guess', () => expect(wordsOf('cm.everything:destroy')).toBe('cm.everything:destroy'))
  it('marks the one whose effect outlives its giver', () => {
    expect([...userScopes].filter(outlives)).toEqual(['cm.stack.management-tokens:write'])
  })
})
