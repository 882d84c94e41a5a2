// Content types and global fields (contentstack.md §8.5): the same shape and the same rules, two addresses. A type without a
// title field, or with a uid the platform would not take, is refused with 115.
import { Router, type Request } from 'express'
import type { ContentType, SchemaField } from '../world/model.ts'
import { contentTypesOf, entriesOf, globalFieldsOf } from '../world/stack.ts'
import type { Call, Doors } from './call.ts'
import { compile } from './entry-query.ts'
import { flag, pageOf, queryOf } from './page.ts'
import { recordWrite } from './record.ts'
import { noSuchContentType, Refusal, type FieldErrors } from './refusal.ts'

interface Kind {
  path: string
  module: 'content_types' | 'global_fields'
  recorded: 'content_type' | 'global_field'
  many: string
  noun: string
  held(call: Call): Record<string, ContentType>
}

const kinds: Kind[] = [
  {
    path: '/content_types',
    module: 'content_types',
    recorded: 'content_type',
    many: 'content_types',
    noun: 'Content Type',
    held: call => contentTypesOf(call.stack, call.branch)
  },
  {
    path: '/global_fields',
    module: 'global_fields',
    recorded: 'global_field',
    many: 'global_fields',
    noun: 'Global Field',
    held: call => globalFieldsOf(call.stack, call.branch)
  }
]

export function contentTypeRoutes(doors: Doors): Router {
  const router = Router()
  for (const kind of kinds) addRoutes(router, doors, kind)
  return router
}

function addRoutes(router: Router, doors: Doors, kind: Kind): void {
  const { path, module, recorded } = kind

  const settle = (call: Call, type: ContentType, action: 'create' | 'update' | 'delete') => {
    recordWrite(call, { action, module: recorded, uid: type.uid, branch: call.branch, version: type._version })
    const { clock, changes } = call.context
    const object = { ...type }
    changes.emit({
      module: recorded,
      event: action,
      apiKey: call.stack.apiKey,
      branch: call.branch,
      object,
      by: call.credential,
      at: clock.iso()
    })
  }
  const named = (call: Call, request: Request) => {
    const uid = String(request.params['uid'])
    const type = kind.held(call)[uid]
    if (!type) throw noSuchContentType(uid)
    return type
  }

  router.get(
    path,
    doors.stack(call => {
      call.permit(module, 'read')
      const { rest } = compile(queryOf(call.params), [])
      const types = Object.values(kind.held(call)).filter(
        type => rest === null || rest(name => [(type as unknown as Record<string, unknown>)[name]])
      )
      types.sort((a, b) => (a.updated_at === b.updated_at ? (a.uid < b.uid ? -1 : 1) : a.updated_at < b.updated_at ? 1 : -1))
      return {
        body: pageOf(
          types.map(type => shape(call, type)),
          call.params,
          kind.many
        )
      }
    })
  )

  router.get(
    `${path}/:uid`,
    doors.stack((call, request) => {
      call.permit(module, 'read')
      return { body: { [recorded]: shape(call, named(call, request)) } }
    })
  )

  router.post(
    path,
    doors.stack(call => {
      const type = call.permitWrite(module, () => valid(call, kind, null))
      kind.held(call)[type.uid] = type
      settle(call, type, 'create')
      return { status: 201, body: { notice: `${kind.noun} created successfully.`, [recorded]: shape(call, type) } }
    })
  )

  router.put(
    `${path}/:uid`,
    doors.stack((call, request) => {
      const type = call.permitWrite(module, () => valid(call, kind, named(call, request)))
      kind.held(call)[type.uid] = type
      settle(call, type, 'update')
      return { body: { notice: `${kind.noun} updated successfully.`, [recorded]: shape(call, type) } }
    })
  )

  router.delete(
    `${path}/:uid`,
    doors.stack((call, request) => {
      const type = call.permitWrite(module, () => {
        const found = named(call, request)
        const inUse = recorded === 'content_type' && Object.keys(entriesOf(call.stack, call.branch, found.uid)).length > 0
        if (inUse && !flag(call.params, 'force')) {
          throw new Refusal(422, 115, 'Content Type deletion failed. It has entries; use force=true.', { uid: ['has entries.'] })
        }
        return found
      })
      delete kind.held(call)[type.uid]
      if (recorded === 'content_type') delete call.stack.entries[call.branch]?.[type.uid]
      settle(call, type, 'delete')
      return { body: { notice: `${kind.noun} deleted successfully.` } }
    })
  )
}

/** The new state of a type, from the body; `before` is null for a new one. Throws Refusal 422/115 with `errors.uid` or `errors.title` (§8.1). */
function valid(call: Call, kind: Kind, before: ContentType | null): ContentType {
  const given = (call.body[kind.recorded] ?? {}) as Partial<ContentType>
  const errors: FieldErrors = {}
  const uid = before?.uid ?? given.uid
  const title = given.title ?? before?.title
  const schema = given.schema ?? before?.schema
  if (typeof uid !== 'string' || !/^[a-z0-9_]{1,200}$/u.test(uid)) errors['uid'] = ['is not valid.']
  else if (!before && kind.held(call)[uid]) errors['uid'] = ['is not unique.']
  if (typeof title !== 'string' || title === '') errors['title'] = ['is a required field.']
  else if (Object.values(kind.held(call)).some(other => other.title === title && other.uid !== uid)) errors['title'] = ['is not unique.']
  const problem = schemaProblem(schema, kind)
  if (problem !== null) errors['schema'] = [problem]
  if (Object.keys(errors).length > 0) {
    throw new Refusal(422, 115, `${kind.noun} ${before ? 'update' : 'creation'} failed. Please try again.`, errors)
  }
  const at = call.context.clock.iso()
  return {
    uid: uid as string,
    title: title as string,
    description: typeof given.description === 'string' ? given.description : (before?.description ?? ''),
    // A new array even when unchanged: the index goes by its identity.
    schema: [...(schema as SchemaField[])],
    options: { is_page: false, singleton: false, title: 'title', sub_title: [], ...before?.options, ...given.options },
    created_at: before?.created_at ?? at,
    updated_at: at,
    _version: (before?._version ?? 0) + 1
  }
}

function schemaProblem(schema: unknown, kind: Kind): string | null {
  if (!Array.isArray(schema) || schema.length === 0) return 'is a required field.'
  const fields = schema as Partial<SchemaField>[]
  if (fields.some(field => typeof field?.uid !== 'string' || typeof field.data_type !== 'string')) return 'is not valid.'
  if (new Set(fields.map(field => field.uid)).size !== fields.length) return 'has a field uid that is not unique.'
  if (kind.recorded === 'content_type' && !fields.some(field => field.uid === 'title')) return 'must have a title field.'
  return null
}

/** With `include_global_field_schema`, a global field's own schema stands in its place. */
function shape(call: Call, type: ContentType): Record<string, unknown> {
  const schema = flag(call.params, 'include_global_field_schema') ? expanded(call, type.schema) : type.schema
  return { ...type, schema, inbuilt_class: false, maintain_revisions: true, abilities: abilities, DEFAULT_ACL: {}, SYS_ACL: {} }
}

const abilities = {
  get_one_object: true,
  get_all_objects: true,
  create_object: true,
  update_object: true,
  delete_object: true,
  delete_all_objects: true
}

function expanded(call: Call, schema: SchemaField[]): SchemaField[] {
  return schema.map(field => {
    const global =
      field.data_type === 'global_field' && typeof field.reference_to === 'string'
        ? globalFieldsOf(call.stack, call.branch)[field.reference_to]
        : undefined
    return global && !field.schema ? { ...field, schema: expanded(call, global.schema) } : field
  })
}
