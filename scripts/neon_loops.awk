# Reads objdump's disassembly for 64-bit Arm and tells the inner loops that do at least 64 vector multiply-adds: those of
# the matrix kernel. Fails where one of them reads or writes the stack (a register too few) or multiplies lane by lane
# or without fusing, and where fewer than `expected` are found.
/^[0-9a-f]+ <.*>:$/ {
  name = $0
  sub(/^[0-9a-f]+ </, "", name)
  sub(/>:$/, "", name)
  split("", at)
  split("", begin)
  split("", end)
  lines = loops = 0
  next
}
$1 ~ /^[0-9a-f]+:$/ {
  text[++lines] = $0
  at[substr($1, 1, length($1) - 1)] = lines
  if ($2 ~ /^(b|b\..*|cbn?z|tbn?z)$/) {
    for (i = 3; i <= NF; i++) if ($i ~ /^[0-9a-f]+$/ && $i in at) loop(at[$i], lines)
  }
}
function loop(first, last,   i, sums, loads, stack, other) {
  # One that holds another is not an inner loop.
  for (i = 1; i <= loops; i++) if (first <= begin[i] && end[i] <= last) return
  begin[++loops] = first
  end[loops] = last
  for (i = first; i <= last; i++) {
    sums += text[i] ~ /\tfmla\tv[0-9]+\.4s/
    loads += text[i] ~ /\tld/
    stack += text[i] ~ /\[sp/
    other += text[i] ~ /\t(fmadd|fmul|fadd)\t/
  }
  # Winograd's transforms hold a tile of 64 vectors, which no registers do.
  if (sums < 64 || name ~ /transform_/) return
  found++
  bad += stack > 0 || other > 0
  printf "%s: %d instructions, %d fmla, %d loads, %d of the stack, %d other sums and products\n", \
    name, last - first + 1, sums, loads, stack, other
}
END {
  if (found < expected) printf "expected at least %d inner loops of the matrix kernel, found %d\n", expected, found
  exit found < expected || bad > 0
}
