// Form fields: a label, the control, a hint, and what the server says is wrong with the value. The label and the error are tied
// to the control by id, so that they are read together.
import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, useId } from 'react'
import { isApiError } from '../api/http.ts'

interface Frame {
  label: string
  hint?: ReactNode
  errors?: string[] | undefined
}

function FieldFrame({ label, hint, errors, id, children }: Frame & { id: string; children: ReactNode }) {
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>
        {label}
      </label>
      {children}
      {hint ? (
        <span className="meta" id={`${id}-hint`}>
          {hint}
        </span>
      ) : null}
      {errors?.length ? (
        <span className="field-error" id={`${id}-error`}>
          {errors.join(' ')}
        </span>
      ) : null}
    </div>
  )
}

function described(id: string, { hint, errors }: Frame) {
  const ids = [hint ? `${id}-hint` : '', errors?.length ? `${id}-error` : ''].filter(Boolean)
  return { ...(ids.length > 0 ? { 'aria-describedby': ids.join(' ') } : {}), ...(errors?.length ? { 'aria-invalid': true } : {}) }
}

export function TextField({
  label,
  hint,
  errors,
  onValue,
  ...rest
}: Frame & { onValue: (value: string) => void } & Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'id'>) {
  const id = useId()
  return (
    <FieldFrame label={label} hint={hint} errors={errors} id={id}>
      <input
        {...rest}
        id={id}
        className="input"
        {...described(id, { label, hint, errors })}
        onChange={event => onValue(event.target.value)}
      />
    </FieldFrame>
  )
}

export function SelectField({
  label,
  hint,
  errors,
  onValue,
  options,
  ...rest
}: Frame & {
  onValue: (value: string) => void
  options: readonly (readonly [value: string, label: string])[]
} & Omit<SelectHTMLAttributes<HTMLSelectElement>, 'onChange' | 'id'>) {
  const id = useId()
  return (
    <FieldFrame label={label} hint={hint} errors={errors} id={id}>
      <select
        {...rest}
        id={id}
        className="input"
        {...described(id, { label, hint, errors })}
        onChange={event => onValue(event.target.value)}
      >
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </FieldFrame>
  )
}

export function Choice({
  type,
  name,
  label,
  hint,
  checked,
  onValue
}: {
  type: 'checkbox' | 'radio'
  name?: string
  label: ReactNode
  hint?: ReactNode
  checked: boolean
  onValue: (checked: boolean) => void
}) {
  return (
    <label className="choice">
      <input type={type} name={name} checked={checked} onChange={event => onValue(event.target.checked)} />
      <span>
        {label}
        {hint ? <span className="meta"> {hint}</span> : null}
      </span>
    </label>
  )
}

/** One of a few, each with what follows from it, so that nobody has to choose first and read afterwards. */
export function RadioField({
  label,
  value,
  onValue,
  options
}: {
  label: string
  value: string
  onValue: (value: string) => void
  options: readonly (readonly [value: string, label: string, consequence: string])[]
}) {
  const name = useId()
  return (
    <fieldset className="stack-tight">
      <legend className="field-label">{label}</legend>
      {options.map(([each, text, consequence]) => (
        <Choice
          key={each}
          type="radio"
          name={name}
          label={text}
          hint={consequence}
          checked={each === value}
          onValue={() => onValue(each)}
        />
      ))}
    </fieldset>
  )
}

/** What the server says about one field; 'settings.file' and 'file' are the same field to a form. */
export function fieldErrors(error: unknown, name: string): string[] | undefined {
  if (!isApiError(error)) return undefined
  return Object.entries(error.fields).find(([path]) => path === name || path.endsWith(`.${name}`))?.[1]
}
