/* Stands in for python.exe: says whether it is new enough (-c), else notes its arguments and exits with 7. */
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

int wmain(int argc, wchar_t **argv) {
    for (int i = 1; i < argc; i++)
        if (!wcscmp(argv[i], L"-c")) return _wgetenv(L"STAND_IN_TOO_OLD") ? 1 : 0;
    FILE *notes = _wfopen(_wgetenv(L"STAND_IN_NOTES"), L"ab");
    for (int i = 0; i < argc; i++) {
        char line[4096];
        WideCharToMultiByte(CP_UTF8, 0, argv[i], -1, line, sizeof line, NULL, NULL);
        fprintf(notes, "%s\n", line);
    }
    fclose(notes);
    return 7;
}
