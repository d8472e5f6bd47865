# awk -v wanted=N -f readme_program.awk README.md prints the Nth block of C++ in it.
/^```cpp/ { on = (++block == wanted); next }
/^```/ { on = 0 }
on { print }
