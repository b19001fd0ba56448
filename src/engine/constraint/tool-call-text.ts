/** The fixed parts of a forced call's text, spaced as chat templates print JSON. */
export const beforeName = '{"name": '
export const beforeArguments = ', "arguments": '
export const afterArguments = '}'
export const betweenCalls = ', '

/** Around a call that a model makes by itself. */
export const openTag = '<tool_call>'
export const closeTag = '</tool_call>'
