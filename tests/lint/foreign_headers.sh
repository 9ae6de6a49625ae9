#!/usr/bin/env bash
# Foreign headers have one home each.
. "$(dirname "$0")/common.sh"
check() {  # what, pattern of the header, pattern of the allowed paths
  while IFS= read -r hit; do
    [[ $hit =~ ^($3) ]] || finding "$hit ($1 belongs in: $3)"
  done < <(grep -rnE "^ *# *include <($2)" config state ingest convert calibrate image mosaic ops tests/simulator \
             --include='*.h' --include='*.cc' || true)
}
check HDF5 'H5|hdf5' 'ingest/|tests/simulator/'
check casacore 'casacore/' '[a-z/]+/casacore/'
check FFTW 'fftw3' 'image/|calibrate/'
check SQLite 'sqlite3|SQLiteCpp' 'state/'
check 'Boost.Asio' 'boost/(asio|beast)' 'ops/|ingest/file_watcher'
check prometheus-cpp 'prometheus/' 'ops/'
check FITS 'fitsio|longnam' 'image/|mosaic/|calibrate/'
check wcslib 'wcslib' 'tests/'
check XXHASH 'xxhash' 'config/'
check OPENSSL 'openssl/' 'ops/base/'
check libarchive 'archive(_entry)?\.h' 'ops/archive/'
check Eigen 'Eigen/' 'calibrate/|image/|mosaic/'
check cairo 'cairo' 'image/|mosaic/'
check ERFA 'erfa' 'convert/|tests/simulator/'
check AOFlagger 'aoflagger' 'calibrate/'
finish
