// One control per kind of field. What has no control of its own is edited as JSON: every field can be changed, none is hidden.
import { useId } from 'react'
import { useSession } from '../cms-context.ts'
import { LocationFrame } from '../host/frame.tsx'
import type { EntryPort } from '../host/place.ts'
import type { StackScope } from '../stack/shell.tsx'
import { type Draft, type SchemaField, valueAt } from './draft.ts'
import { JsonField } from './json-field.tsx'
import { FilePicker, ReferencePicker } from './pickers.tsx'

export interface FieldProps {
  field: SchemaField
  /** Dotted, from the entry down. */
  path: string
  value: unknown
  draft: Draft
  scope: StackScope
  port: EntryPort
  /** Whether this is the master locale, where non-localizable fields are edited. */
  master: boolean
}

export function EntryField(props: FieldProps) {
  const { field, path, value, draft, scope, master } = props
  const id = useId()
  const locked = field.non_localizable === true && !master
  const set = (next: unknown) => draft.set(path, next)

  if (field.extension_uid) {
    const found = scope.apps
      .flatMap(app => app.locations.map(location => ({ app, location })))
      .find(({ location }) => location.extensionUid === field.extension_uid)
    if (found) return <CustomField {...props} found={found} />
  }
  if ((field.data_type === 'group' || field.data_type === 'global_field') && !field.multiple && field.schema) {
    return (
      <fieldset className="group">
        <legend>{field.display_name}</legend>
        {field.schema.map(inner => (
          <EntryField key={inner.uid} {...props} field={inner} path={`${path}.${inner.uid}`} value={valueAt(value, [inner.uid])} />
        ))}
      </fieldset>
    )
  }
  return (
    <div className="field" data-field={path}>
      <label htmlFor={id}>
        {field.display_name}
        {field.mandatory ? <span className="meta"> required</span> : null}
        {locked ? <span className="meta"> same in all locales</span> : null}
      </label>
      <Control {...props} id={id} locked={locked} set={set} />
      {typeof field.field_metadata?.['description'] === 'string' && field.field_metadata['description'] !== '' ? (
        <span className="meta">{field.field_metadata['description']}</span>
      ) : null}
    </div>
  )
}

function Control({
  field,
  path,
  value,
  draft,
  scope,
  id,
  locked,
  set
}: FieldProps & { id: string; locked: boolean; set: (next: unknown) => void }) {
  const common = { id, disabled: locked }
  if (field.enum && !field.multiple) {
    return (
      <select
        {...common}
        value={value === null || value === undefined ? '' : JSON.stringify(value)}
        onChange={event => set(event.target.value === '' ? null : JSON.parse(event.target.value))}
      >
        <option value="">Nothing chosen</option>
        {field.enum.choices.map(choice => (
          <option key={JSON.stringify(choice.value)} value={JSON.stringify(choice.value)}>
            {choice.key ?? String(choice.value)}
          </option>
        ))}
      </select>
    )
  }
  if (field.enum) return <Choices id={id} locked={locked} choices={field.enum.choices} value={value} set={set} />
  if (field.data_type === 'text' && field.multiple) {
    // One value a line; a value that has a line break of its own is left to the JSON box.
    const lines = Array.isArray(value) ? value.map(String) : []
    if (!lines.some(line => line.includes('\n'))) {
      const put = (text: string) => set(text === '' ? [] : text.split('\n'))
      return <textarea {...common} rows={Math.max(2, lines.length)} value={lines.join('\n')} onChange={event => put(event.target.value)} />
    }
  }
  if (field.data_type === 'text' && !field.multiple) {
    const text = typeof value === 'string' ? value : ''
    const long =
      field.field_metadata?.['multiline'] === true ||
      field.field_metadata?.['markdown'] === true ||
      field.field_metadata?.['allow_rich_text'] === true
    return long ? (
      <textarea {...common} rows={5} value={text} onChange={event => set(event.target.value)} />
    ) : (
      <input {...common} value={text} onChange={event => set(event.target.value)} />
    )
  }
  if (field.data_type === 'number' && !field.multiple) {
    return (
      <input
        {...common}
        type="number"
        step="any"
        value={typeof value === 'number' ? value : ''}
        onChange={event => set(event.target.value === '' ? null : Number(event.target.value))}
      />
    )
  }
  if (field.data_type === 'boolean') {
    return <input {...common} type="checkbox" checked={value === true} onChange={event => set(event.target.checked)} />
  }
  if (field.data_type === 'isodate' && !field.multiple) {
    const text = typeof value === 'string' ? value.slice(0, 16) : ''
    return (
      <input
        {...common}
        type="datetime-local"
        value={text.length === 10 ? `${text}T00:00` : text}
        onChange={event => set(event.target.value === '' ? null : `${event.target.value}:00.000Z`)}
      />
    )
  }
  if (field.data_type === 'link' && !field.multiple) {
    const link = (value ?? {}) as { title?: string; href?: string }
    return (
      <span className="pair">
        <input
          {...common}
          placeholder="Text"
          aria-label={`${field.display_name}: text`}
          value={link.title ?? ''}
          onChange={event => set({ ...link, title: event.target.value })}
        />
        <input
          disabled={locked}
          placeholder="Address"
          aria-label={`${field.display_name}: address`}
          value={link.href ?? ''}
          onChange={event => set({ ...link, href: event.target.value })}
        />
      </span>
    )
  }
  if (field.data_type === 'reference') return <ReferencePicker {...common} field={field} value={value} scope={scope} set={set} />
  if (field.data_type === 'file') return <FilePicker {...common} field={field} value={value} scope={scope} set={set} />
  return <JsonField {...common} key={`${path} ${String(draft.saved()._version)}`} value={value} set={set} />
}

function Choices({ id, locked, choices, value, set }: ChoicesProps) {
  const chosen = Array.isArray(value) ? (value as unknown[]) : []
  return (
    <span className="boxes">
      {choices.map((choice, index) => (
        <label key={JSON.stringify(choice.value)}>
          <input
            id={index === 0 ? id : undefined}
            type="checkbox"
            disabled={locked}
            checked={chosen.includes(choice.value)}
            onChange={event => set(event.target.checked ? [...chosen, choice.value] : chosen.filter(other => other !== choice.value))}
          />
          {choice.key ?? String(choice.value)}
        </label>
      ))}
    </span>
  )
}

interface ChoicesProps {
  id: string
  locked: boolean
  choices: { value: unknown; key?: string }[]
  value: unknown
  set: (next: unknown) => void
}

/** A field that an app draws: its own frame, with the value going both ways. */
function CustomField({
  field,
  path,
  draft,
  scope,
  port,
  found
}: FieldProps & { found: { app: StackScope['apps'][number]; location: StackScope['apps'][number]['locations'][number] } }) {
  const { client, session } = useSession()
  const { stack, branch } = scope
  const place = {
    ...found,
    client,
    session,
    stack,
    branch,
    entry: port,
    field: { uid: path, schema: field, value: () => valueAt(draft.current(), path.split('.')), config: field['config'] }
  }
  return (
    <div className="field" data-field={path}>
      <span>{field.display_name}</span>
      <LocationFrame place={place} height={120} />
    </div>
  )
}
