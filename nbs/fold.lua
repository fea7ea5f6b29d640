-- What JupyterLab shows folded (`source_hidden`: checks, figures, solutions), the published site folds too.
function Div(cell)
  local jupyter = cell.attributes['jupyter'] or ''
  if not jupyter:find('"source_hidden":true', 1, true) then return nil end
  cell.attributes['jupyter'] = nil
  return cell:walk { CodeBlock = function(code)
    if not code.classes:includes('cell-code') then return nil end
    code.attributes['code-fold'] = 'true'
    code.attributes['code-summary'] = code.text:match('^# ([^\n]+)') or code.text:find('assert') and 'check' or 'code'
    return code
  end }
end
